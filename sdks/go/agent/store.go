package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// RunStore keeps the states of runs. A Save replaces the state of the same run as a whole, and is durable when it
// returns.
type RunStore interface {
	Save(ctx context.Context, state *RunState) error
	// Load fails with ErrRunNotFound where the run was never saved.
	Load(ctx context.Context, runID string) (*RunState, error)
}

// ErrRunNotFound is returned where a store does not have a run.
var ErrRunNotFound = errors.New("agent: the store does not have this run")

func notFound(runID string) error { return fmt.Errorf("%w: %q", ErrRunNotFound, runID) }

// MemoryStore keeps states for as long as the process lives. It is safe for concurrent use.
type MemoryStore struct {
	mu     sync.Mutex
	states map[string][]byte
}

// NewMemoryStore is an empty store.
func NewMemoryStore() *MemoryStore { return &MemoryStore{states: map[string][]byte{}} }

// Save keeps a copy of the state.
func (s *MemoryStore) Save(_ context.Context, state *RunState) error {
	data, err := state.encode()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states[state.Run.ID] = data
	return nil
}

// Load gives a copy of the state.
func (s *MemoryStore) Load(_ context.Context, runID string) (*RunState, error) {
	s.mu.Lock()
	data, found := s.states[runID]
	s.mu.Unlock()
	if !found {
		return nil, notFound(runID)
	}
	return ParseRunState(data)
}

package agent

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"
)

// SQLiteStore keeps runs in the table joytoken_run of a SQLite database: run_id, state, updated_at. Bring a driver of your
// own. It is safe for concurrent use.
type SQLiteStore struct {
	db   *sql.DB
	mu   sync.Mutex
	made bool
}

// NewSQLiteStore keeps runs in a database; the table is made at the first use.
func NewSQLiteStore(db *sql.DB) *SQLiteStore { return &SQLiteStore{db: db} }

const (
	createRuns = `CREATE TABLE IF NOT EXISTS joytoken_run (
	run_id TEXT PRIMARY KEY, state TEXT NOT NULL, updated_at TEXT NOT NULL)`
	saveRun = `INSERT INTO joytoken_run (run_id, state, updated_at) VALUES (?, ?, ?)
	ON CONFLICT (run_id) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at`
	loadRun = `SELECT state FROM joytoken_run WHERE run_id = ?`
)

func (s *SQLiteStore) ready(ctx context.Context) error {
	if s.db == nil {
		return errors.New("agent: SQLiteStore has no database")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made {
		return nil
	}
	if _, err := s.db.ExecContext(ctx, createRuns); err != nil {
		return fmt.Errorf("agent: the table joytoken_run cannot be made: %w", err)
	}
	s.made = true
	return nil
}

// Save replaces the state of the run.
func (s *SQLiteStore) Save(ctx context.Context, state *RunState) error {
	data, err := state.encode()
	if err != nil {
		return err
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	_, err = s.db.ExecContext(ctx, saveRun, state.Run.ID, string(data), time.Now().UTC().Format(time.RFC3339Nano))
	return err
}

// Load reads the state of a run.
func (s *SQLiteStore) Load(ctx context.Context, runID string) (*RunState, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	var data string
	switch err := s.db.QueryRowContext(ctx, loadRun, runID).Scan(&data); {
	case errors.Is(err, sql.ErrNoRows):
		return nil, notFound(runID)
	case err != nil:
		return nil, err
	}
	return parseStateOf(runID, []byte(data))
}

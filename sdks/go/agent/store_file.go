package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	// stateBytesMax is the largest state that is read from a file or a database.
	stateBytesMax = 256 << 20
	// fileNameMax is how long a run's id, made safe, can be as a file's name.
	fileNameMax = 200
)

// FileStore keeps each run in a JSON file of its own, which its owner alone can read. A file is replaced as a whole and
// is on the disk when Save returns, so that a crash leaves the state before or after. It is safe for concurrent use.
type FileStore struct{ folder string }

// NewFileStore keeps runs in a folder, which is made where it is missing.
func NewFileStore(folder string) *FileStore { return &FileStore{folder: folder} }

// Save writes the state to a temporary file and puts that in the place of the run's.
func (s *FileStore) Save(ctx context.Context, state *RunState) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	data, err := state.encode()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return err
	}
	return replaceFile(filepath.Join(s.folder, stateFileName(state.Run.ID)), data)
}

// replaceFile puts bytes in the place of a file, durably.
func replaceFile(path string, data []byte) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".saving-*") // of mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	_, err = file.Write(data)
	err = errors.Join(err, file.Sync(), file.Close())
	if err != nil {
		return err
	}
	if err = os.Rename(file.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder makes a rename durable, where the system knows that of folders.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	_ = folder.Sync() // not every file system has it
	return folder.Close()
}

// Load reads the state of a run.
func (s *FileStore) Load(ctx context.Context, runID string) (*RunState, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	file, err := os.Open(filepath.Join(s.folder, stateFileName(runID)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notFound(runID)
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, stateBytesMax+1))
	if err != nil {
		return nil, err
	}
	if len(data) > stateBytesMax {
		return nil, fmt.Errorf("agent: the state of run %q has more than %d bytes", runID, stateBytesMax)
	}
	return parseStateOf(runID, data)
}

// parseStateOf reads the state of this run and no other: names that differ only by case are one file on some systems.
func parseStateOf(runID string, data []byte) (*RunState, error) {
	state, err := ParseRunState(data)
	if err != nil {
		return nil, fmt.Errorf("the stored state of run %q is broken: %w", runID, err)
	}
	if state.Run.ID != runID {
		return nil, fmt.Errorf("agent: what is stored as run %q is of run %q", runID, state.Run.ID)
	}
	return state, nil
}

// stateFileName is a run's id as the name of a file, never as a path.
func stateFileName(runID string) string {
	var name strings.Builder
	for i := range len(runID) {
		char := runID[i]
		if nameChar(rune(char)) && (char != '.' || i > 0) {
			name.WriteByte(char)
		} else {
			fmt.Fprintf(&name, "%%%02X", char)
		}
	}
	if name.Len() > fileNameMax {
		hash := sha256.Sum256([]byte(runID))
		return "sha256-" + hex.EncodeToString(hash[:]) + ".json"
	}
	return name.String() + ".json"
}

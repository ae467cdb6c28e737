package tooldef

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
)

const (
	// DefaultFileMaxBytes is how much of a file is read or written where a FileSandbox says nothing else.
	DefaultFileMaxBytes = 1 << 20
	// DefaultSearchLimit is how many names file_search and list_dir give at most.
	DefaultSearchLimit = 200
)

// FileSandbox confines the file tools to one folder. Absolute paths, and those that lead out of it by ".." or by symbolic
// links, are refused.
type FileSandbox struct {
	// Root is the folder; empty: the working directory.
	Root string
	// MaxBytes bounds what is read or written at once; 0: DefaultFileMaxBytes.
	MaxBytes int
}

// AbsRoot is the absolute path of the folder.
func (s FileSandbox) AbsRoot() (string, error) { return filepath.Abs(firstText(s.Root, ".")) }

func (s FileSandbox) maxBytes() int {
	if s.MaxBytes > 0 {
		return s.MaxBytes
	}
	return DefaultFileMaxBytes
}

// folder is a directory out of which no name leads.
type folder interface {
	OpenFile(name string, flag int, perm os.FileMode) (*os.File, error)
	Mkdir(name string, perm os.FileMode) error
	FS() fs.FS
	Close() error
}

// open opens the sandbox's folder; the caller closes it.
func (s FileSandbox) open() (folder, error) {
	root, err := s.AbsRoot()
	if err != nil {
		return nil, err
	}
	return openFolder(root)
}

// inside is a path as it is below the folder, with slashes; one that leads out is refused before the disk is asked.
func inside(name string) (string, error) {
	slashed := filepath.ToSlash(name)
	clean := path.Clean(slashed)
	switch {
	case strings.ContainsRune(name, 0):
		return "", errors.New("path has a NUL character")
	case path.IsAbs(slashed) || filepath.IsAbs(name) || filepath.VolumeName(name) != "":
		return "", fmt.Errorf("path %.200q is absolute: give one below the workspace", name)
	case clean == ".." || strings.HasPrefix(clean, "../"):
		return "", fmt.Errorf("path %.200q leads out of the workspace", name)
	}
	return clean, nil
}

// openRegular opens a regular file. Others are refused, and never waited for.
func openRegular(in folder, name string, flag int) (*os.File, error) {
	file, err := in.OpenFile(name, flag|syscall.O_NONBLOCK, 0o644)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%.200q is no regular file", name)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// makeParents makes the folders above a name.
func makeParents(in folder, name string) error {
	dir := path.Dir(name)
	if dir == "." {
		return nil
	}
	if err := makeParents(in, dir); err != nil {
		return err
	}
	if err := in.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func firstText(values ...string) string {
	for _, value := range values {
		if value != "" {
			return value
		}
	}
	return ""
}

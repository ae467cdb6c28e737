//go:build !go1.24 || joytoken_noroot

package tooldef

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// checkedFolder is for versions of Go without os.Root. Links are resolved before a name is used, and again after it was
// opened: what was opened must be what is then found inside.
type checkedFolder struct{ root string }

func openFolder(root string) (folder, error) {
	resolved, err := filepath.EvalSymlinks(root)
	return checkedFolder{resolved}, err
}

// resolve follows all links of a name; its last part need not exist.
func (f checkedFolder) resolve(name string) (string, error) {
	full := filepath.Join(f.root, filepath.FromSlash(name))
	resolved, err := filepath.EvalSymlinks(full)
	if os.IsNotExist(err) {
		if _, linked := os.Lstat(full); linked == nil {
			return "", fmt.Errorf("path %.200q is a link to nothing", name)
		}
		parent, parentErr := filepath.EvalSymlinks(filepath.Dir(full))
		resolved, err = filepath.Join(parent, filepath.Base(full)), parentErr
	}
	if err != nil {
		return "", err
	}
	if resolved != f.root && !strings.HasPrefix(resolved, f.root+string(filepath.Separator)) {
		return "", fmt.Errorf("path %.200q leads out of the workspace", name)
	}
	return resolved, nil
}

func (f checkedFolder) OpenFile(name string, flag int, perm os.FileMode) (*os.File, error) {
	resolved, err := f.resolve(name)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(resolved, flag, perm)
	if err != nil {
		return nil, err
	}
	opened, err := file.Stat()
	if err == nil {
		var again string
		var found fs.FileInfo
		if again, err = f.resolve(name); err == nil {
			if found, err = os.Lstat(again); err == nil && !os.SameFile(opened, found) {
				err = fmt.Errorf("path %.200q changed while it was opened", name)
			}
		}
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

func (f checkedFolder) Mkdir(name string, perm os.FileMode) error {
	resolved, err := f.resolve(name)
	if err != nil {
		return err
	}
	return os.Mkdir(resolved, perm)
}

func (f checkedFolder) FS() fs.FS { return os.DirFS(f.root) }

func (f checkedFolder) Close() error { return nil }

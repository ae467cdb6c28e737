//go:build go1.24 && !joytoken_noroot

package tooldef

import "os"

// openFolder gives the folder itself as the root of all names, so that no link can be put in the way between check and use.
func openFolder(root string) (folder, error) { return os.OpenRoot(root) }

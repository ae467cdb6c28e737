package tooldef

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"
)

const (
	patternBytesMax = 1 << 10
	// searchEntriesMax bounds how many names one search looks at.
	searchEntriesMax = 200_000
)

// FileRead is a tool that reads a text file of the sandbox, up to its MaxBytes.
func FileRead(sandbox FileSandbox) Tool {
	return fileTool(sandbox, "file_read", "Read a text file of the workspace.",
		map[string]any{"path": property("The file's path below the workspace.")}, []string{"path"}, readFile)
}

// FileWrite is a tool that writes a file of the sandbox, with the folders above it. Gate it with GateFileWrite.
func FileWrite(sandbox FileSandbox) Tool {
	return fileTool(sandbox, "file_write", "Write a text file of the workspace; one that is there is replaced.",
		map[string]any{
			"path":    property("The file's path below the workspace."),
			"content": property("The whole content."),
		}, []string{"path", "content"}, writeFile)
}

// ListDir is a tool that lists a folder of the sandbox, up to DefaultSearchLimit names.
func ListDir(sandbox FileSandbox) Tool {
	return fileTool(sandbox, "list_dir", "List a folder of the workspace.",
		map[string]any{"path": property("The folder's path below the workspace; the workspace itself where it is left out.")},
		nil, listDir)
}

// FileSearch is a tool that finds files of the sandbox by a pattern of their base name, up to DefaultSearchLimit.
func FileSearch(sandbox FileSandbox) Tool {
	return fileTool(sandbox, "file_search", "Find files of the workspace by name.",
		map[string]any{"pattern": property("A pattern of the file's name, in which * stands for any text and ? for one character.")},
		[]string{"pattern"}, searchFiles)
}

type fileAction func(ctx context.Context, in folder, sandbox FileSandbox, input any) (any, error)

// fileTool is a tool that opens the sandbox for each call; its errors are named after it.
func fileTool(
	sandbox FileSandbox, name, description string, properties map[string]any, required []string, act fileAction,
) Tool {
	parameters := map[string]any{"type": "object", "properties": properties}
	if required != nil {
		parameters["required"] = required
	}
	execute := func(ctx context.Context, input any, _ ToolExecutionContext) (any, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		in, err := sandbox.open()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, withoutRoot(err))
		}
		defer in.Close()
		result, err := act(ctx, in, sandbox, input)
		if err != nil && !strings.HasPrefix(err.Error(), name+": ") {
			err = fmt.Errorf("%s: %w", name, withoutRoot(err))
		}
		return result, err
	}
	return Tool{Name: name, Description: description, Parameters: parameters, Execute: execute}
}

// withoutRoot leaves the machine's own path out of an error that a model is told.
func withoutRoot(err error) error {
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

func readFile(_ context.Context, in folder, sandbox FileSandbox, input any) (any, error) {
	name, err := pathArgument("file_read", input, true)
	if err != nil {
		return nil, err
	}
	file, err := openRegular(in, name, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, more, err := readAtMost(file, sandbox.maxBytes())
	if err != nil {
		return nil, err
	}
	if more {
		for len(data) > 0 && !utf8.RuneStart(data[len(data)-1]) {
			data = data[:len(data)-1] // no half characters
		}
	}
	result := map[string]any{"path": name, "content": string(data), "bytes": len(data)}
	if more {
		result["truncated"] = true
	}
	return result, nil
}

func writeFile(_ context.Context, in folder, sandbox FileSandbox, input any) (any, error) {
	name, err := pathArgument("file_write", input, true)
	if err != nil {
		return nil, err
	}
	content, err := textArgument("file_write", input, "content", true)
	if err != nil {
		return nil, err
	}
	if len(content) > sandbox.maxBytes() {
		return nil, fmt.Errorf("content is over %d bytes", sandbox.maxBytes())
	}
	if err := makeParents(in, name); err != nil {
		return nil, err
	}
	file, err := openRegular(in, name, os.O_WRONLY|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if err := file.Truncate(0); err != nil {
		return nil, err
	}
	if _, err := file.WriteString(content); err != nil {
		return nil, err
	}
	return map[string]any{"path": name, "bytes": len(content)}, file.Close()
}

func listDir(_ context.Context, in folder, _ FileSandbox, input any) (any, error) {
	name, err := pathArgument("list_dir", input, false)
	if err != nil {
		return nil, err
	}
	dir, err := in.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	listed, err := dir.ReadDir(searchEntriesMax)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	slices.SortFunc(listed, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	truncated := len(listed) > DefaultSearchLimit
	entries := []map[string]any{}
	for _, entry := range listed[:min(len(listed), DefaultSearchLimit)] {
		size := int64(0)
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			size = info.Size()
		}
		entries = append(entries, map[string]any{"name": entry.Name(), "dir": entry.IsDir(), "bytes": size})
	}
	return map[string]any{"path": name, "entries": entries, "truncated": truncated}, nil
}

func searchFiles(ctx context.Context, in folder, _ FileSandbox, input any) (any, error) {
	pattern, err := textArgument("file_search", input, "pattern", true)
	if err != nil {
		return nil, err
	}
	if pattern == "" || len(pattern) > patternBytesMax || strings.ContainsAny(pattern, "/\\") {
		return nil, fmt.Errorf("pattern must be 1 to %d bytes of a file's name, without slashes", patternBytesMax)
	}
	glob := strings.ReplaceAll(pattern, "[", `\[`) // only * and ? are special
	matches, seen, truncated := []string{}, 0, false
	err = fs.WalkDir(in.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if seen++; seen > searchEntriesMax {
			truncated = true
			return errStop
		}
		if err != nil || entry.IsDir() {
			return nil // a folder that cannot be read has no matches
		}
		if matched, _ := path.Match(glob, path.Base(name)); matched {
			if len(matches) == DefaultSearchLimit {
				truncated = true
				return errStop
			}
			matches = append(matches, name)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errStop) {
		return nil, err
	}
	slices.Sort(matches)
	return map[string]any{
		"pattern": pattern, "matches": matches, "count": len(matches), "truncated": truncated,
	}, nil
}

// pathArgument is the argument path, as it is below the folder; the folder itself where it is left out.
func pathArgument(tool string, input any, required bool) (string, error) {
	name, err := textArgument(tool, input, "path", required)
	if err != nil {
		return "", err
	}
	if name == "" {
		if required {
			return "", errors.New("path is empty")
		}
		name = "."
	}
	return inside(name)
}

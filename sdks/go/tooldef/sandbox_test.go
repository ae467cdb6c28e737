//go:build unix

package tooldef

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// workspace has a file, a folder, and links that stay inside and lead out.
func workspace(t *testing.T) (root, outside string) {
	t.Helper()
	base := t.TempDir()
	root, outside = filepath.Join(base, "in"), filepath.Join(base, "out")
	for _, dir := range []string{root, outside, filepath.Join(root, "sub")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, content := range map[string]string{
		filepath.Join(root, "a.txt"): "hello", filepath.Join(root, "sub", "b.txt"): "sub",
		filepath.Join(outside, "secret.txt"): "secret",
	} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{
		"inside": "a.txt", "leak": filepath.Join(outside, "secret.txt"), "leakdir": outside,
		"dangling": filepath.Join(outside, "new.txt"), "up": "../out/secret.txt",
	} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	return root, outside
}

func TestCheck95PathsAreConfined(t *testing.T) {
	root, outside := workspace(t)
	sandbox := FileSandbox{Root: root}
	for _, name := range []string{
		"../out/secret.txt", "sub/../../out/secret.txt", filepath.Join(outside, "secret.txt"), "/etc/passwd", "leak",
		"up", "leakdir/secret.txt", "dangling", "..", "a\x00b", "",
	} {
		if got, err := use(t, FileRead(sandbox), map[string]any{"path": name}); err == nil {
			t.Errorf("read %q: %v", name, got)
		} else if strings.Contains(err.Error(), root) {
			t.Errorf("read %q tells where the workspace is: %v", name, err)
		}
		if got, err := use(t, FileWrite(sandbox), map[string]any{"path": name, "content": "x"}); err == nil {
			t.Errorf("wrote %q: %v", name, got)
		}
	}
	for _, name := range []string{"..", "leakdir", outside, "sub/../.."} {
		if got, err := use(t, ListDir(sandbox), map[string]any{"path": name}); err == nil {
			t.Errorf("listed %q: %v", name, got)
		}
	}
	found, err := os.ReadDir(outside)
	secret, _ := os.ReadFile(filepath.Join(outside, "secret.txt"))
	if err != nil || len(found) != 1 || string(secret) != "secret" {
		t.Fatalf("outside is %v, %q", found, secret)
	}
	if got, err := use(t, FileSearch(sandbox), map[string]any{"pattern": "secret*"}); err != nil || got["count"] != 0 {
		t.Fatalf("search found %v, %v", got, err)
	}
}

func TestFileTools(t *testing.T) {
	root, _ := workspace(t)
	sandbox := FileSandbox{Root: root}
	for _, c := range []struct {
		tool  Tool
		input map[string]any
		want  string
	}{
		{FileRead(sandbox), map[string]any{"path": "a.txt"}, `{"bytes":5,"content":"hello","path":"a.txt"}`},
		{FileRead(sandbox), map[string]any{"path": "./inside"}, `{"bytes":5,"content":"hello","path":"inside"}`},
		{FileRead(FileSandbox{Root: root, MaxBytes: 2}), map[string]any{"path": "a.txt"},
			`{"bytes":2,"content":"he","path":"a.txt","truncated":true}`},
		{FileWrite(sandbox), map[string]any{"path": "x/y/z.txt", "content": "new"}, `{"bytes":3,"path":"x/y/z.txt"}`},
		{FileWrite(sandbox), map[string]any{"path": "a.txt", "content": "hi"}, `{"bytes":2,"path":"a.txt"}`},
		{FileRead(sandbox), map[string]any{"path": "a.txt"}, `{"bytes":2,"content":"hi","path":"a.txt"}`},
		{FileSearch(sandbox), map[string]any{"pattern": "?.txt"},
			`{"count":3,"matches":["a.txt","sub/b.txt","x/y/z.txt"],"pattern":"?.txt","truncated":false}`},
		{ListDir(sandbox), map[string]any{"path": "sub"},
			`{"entries":[{"bytes":3,"dir":false,"name":"b.txt"}],"path":"sub","truncated":false}`},
	} {
		got, err := use(t, c.tool, c.input)
		data, _ := json.Marshal(got)
		if err != nil || string(data) != c.want {
			t.Errorf("%s %v: %s, %v", c.tool.Name, c.input, data, err)
		}
	}
	for what, input := range map[string]map[string]any{
		"over":     {"path": "big", "content": strings.Repeat("x", DefaultFileMaxBytes+1)},
		"string":   {"path": 7, "content": ""},
		"required": {"path": "c.txt"},
	} {
		if _, err := use(t, FileWrite(sandbox), input); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A pipe that nobody writes would be waited for, for ever.
func TestOnlyRegularFilesAreOpened(t *testing.T) {
	root := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(root, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tool := range []Tool{FileRead(FileSandbox{Root: root}), FileWrite(FileSandbox{Root: root})} {
		if _, err := use(t, tool, map[string]any{"path": "pipe", "content": "x"}); err == nil {
			t.Errorf("%s opened a pipe", tool.Name)
		}
	}
}

func TestSearchAndListAreBounded(t *testing.T) {
	root := t.TempDir()
	for i := range DefaultSearchLimit + 5 {
		name := filepath.Join(root, strings.Repeat("x", i%7+1)+string(rune('a'+i%26))+strings.Repeat("y", i/26))
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	found, err := use(t, FileSearch(FileSandbox{Root: root}), map[string]any{"pattern": "*"})
	if err != nil || found["count"] != DefaultSearchLimit || found["truncated"] != true {
		t.Fatalf("%v, %v", found["count"], err)
	}
	listed, err := use(t, ListDir(FileSandbox{Root: root}), nil)
	if err != nil || len(listed["entries"].([]map[string]any)) != DefaultSearchLimit || listed["truncated"] != true {
		t.Fatalf("%v, %v", listed["truncated"], err)
	}
}

func TestCheck95Gates(t *testing.T) {
	root := t.TempDir()
	input := map[string]any{"path": "a.txt", "content": "x", "command": "touch a.txt"}
	answer := func(allow bool, err error) (FilePermissionFunc, ShellPermissionFunc) {
		return func(_ context.Context, r FilePermissionRequest) (bool, error) {
				return allow && r.ToolName == "file_write" && r.Root == root, err
			}, func(_ context.Context, r ShellPermissionRequest) (bool, error) {
				return allow && r.Command == "touch a.txt" && r.WorkingDir == root, err
			}
	}
	refuseFile, refuseShell := answer(false, nil)
	failFile, failShell := answer(true, errors.New("no answer"))
	for what, tool := range map[string]Tool{
		"rejected: no file permission handler configured (set filePermission to enable)":   gatedFile(root, nil),
		"rejected: no shell permission handler configured (set shellPermission to enable)": gatedShell(root, nil),
		"rejected by file permission handler":                                              gatedFile(root, refuseFile),
		"rejected by shell permission handler":                                             gatedShell(root, refuseShell),
		"tool \"file_write\" permission check failed: no answer":                           gatedFile(root, failFile),
		"tool \"shell\" permission check failed: no answer":                                gatedShell(root, failShell),
		"permission check failed: panicked": gatedFile(root, func(context.Context, FilePermissionRequest) (bool, error) {
			panic("ouch")
		}),
	} {
		if _, err := use(t, tool, input); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := os.Stat(filepath.Join(root, "a.txt")); err == nil {
		t.Fatal("the file is there")
	}
	allowFile, allowShell := answer(true, nil)
	for _, tool := range []Tool{gatedFile(root, allowFile), gatedShell(root, allowShell)} {
		if _, err := use(t, tool, input); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(root, "a.txt")); err != nil {
			t.Fatal(err)
		}
	}
}

func gatedFile(root string, permission FilePermissionFunc) Tool {
	return GateFileWrite(FileWrite(FileSandbox{Root: root}), root, permission)
}

func gatedShell(root string, permission ShellPermissionFunc) Tool {
	return GateShell(Shell(ShellSandbox{WorkingDir: root}), root, permission)
}

func TestShell(t *testing.T) {
	t.Setenv("JOY_TOKEN_API_KEY", "jt_test_secret")
	shell := Shell(ShellSandbox{WorkingDir: t.TempDir()})
	for command, want := range map[string]map[string]any{
		"echo out; echo err >&2; exit 3": {"output": "out\nerr\n", "exit_code": 3, "truncated": false},
		"cat":                            {"output": "", "exit_code": 0},
		"echo [$JOY_TOKEN_API_KEY]":      {"output": "[]\n"},
		`printf '\377'`:                  {"output": "\ufffd"},
	} {
		got, err := use(t, shell, map[string]any{"command": command})
		if err != nil {
			t.Fatal(command, err)
		}
		for name, v := range want {
			if got[name] != v {
				t.Errorf("%s: %s is %v, want %v", command, name, got[name], v)
			}
		}
	}
	if _, err := use(t, shell, map[string]any{"command": "  "}); err == nil {
		t.Error("an empty command ran")
	}
}

// What a command started is killed with it, in whichever way it ends.
func TestShellKillsTheWholeGroup(t *testing.T) {
	for name, c := range map[string]struct {
		sandbox ShellSandbox
		command string
		want    string
	}{
		"too long":    {ShellSandbox{Timeout: 200 * time.Millisecond}, "sleep 600 & echo $!; wait", "timed_out"},
		"too much":    {ShellSandbox{MaxOutputBytes: 100}, "sleep 600 & echo $!; yes", "output_limit_exceeded"},
		"left behind": {ShellSandbox{}, "sleep 600 & echo $!", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := use(t, Shell(c.sandbox), map[string]any{"command": c.command})
			if err != nil || c.want != "" && got[c.want] != true {
				t.Fatalf("%v, %v", got, err)
			}
			pid, _, _ := strings.Cut(got["output"].(string), "\n")
			for range 500 {
				state, err := os.ReadFile("/proc/" + pid + "/stat")
				if err != nil || strings.Contains(string(state), ") Z ") {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
			t.Fatalf("process %s goes on", pid)
		})
	}
}

func TestShellEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_, err := SafeExecute(ctx, Shell(ShellSandbox{}), map[string]any{"command": "sleep 600"}, ToolExecutionContext{})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
}

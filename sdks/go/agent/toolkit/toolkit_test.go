package toolkit_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	joytoken "joytoken.example/sdk-go"
	"joytoken.example/sdk-go/agent"
	"joytoken.example/sdk-go/agent/toolkit"
)

func run(tool agent.AgentTool, input map[string]any) (any, error) {
	return tool.Execute(context.Background(), input, agent.ToolExecutionContext{Step: 3})
}

func named(name string, execute func(ctx context.Context) (any, error)) agent.AgentTool {
	return agent.AgentTool{Name: name, Execute: func(ctx context.Context, _ any, _ agent.ToolExecutionContext) (any, error) {
		return execute(ctx)
	}}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func toolNames(tools []agent.AgentTool) []string {
	names := []string{}
	for _, tool := range tools {
		names = append(names, tool.Name)
	}
	return names
}

func TestPermissions(t *testing.T) {
	var asked toolkit.PermissionRequest
	answer := func(allowed bool, err error) toolkit.PermissionFunc {
		return func(_ context.Context, request toolkit.PermissionRequest) (bool, error) {
			asked = request
			return allowed, err
		}
	}
	panics := func(context.Context, toolkit.PermissionRequest) (bool, error) { panic("oh") }
	table := []struct {
		name       string
		permission toolkit.Permission
		want       string
	}{
		{"auto", toolkit.Permission{}, ""},
		{"deny", toolkit.Permission{Mode: toolkit.PermissionDeny}, `tool "x" denied by permission policy`},
		{"an unknown mode", toolkit.Permission{Mode: 7}, `tool "x" denied by permission policy`},
		{"nobody to ask", toolkit.Permission{Mode: toolkit.PermissionAsk},
			`tool "x" requires approval but no permission handler is configured`},
		{"yes", toolkit.Permission{Mode: toolkit.PermissionAsk, Ask: answer(true, nil)}, ""},
		{"no", toolkit.Permission{Mode: toolkit.PermissionAsk, Ask: answer(false, nil)},
			`tool "x" rejected by permission handler`},
		{"a failure", toolkit.Permission{Mode: toolkit.PermissionAsk, Ask: answer(true, errors.New("away"))},
			`tool "x" permission check failed: away`},
		{"a panic", toolkit.Permission{Mode: toolkit.PermissionAsk, Ask: panics},
			`tool "x" permission check failed: panicked: oh`},
	}
	for _, row := range table {
		ran := false
		kit := toolkit.New(toolkit.WithPermission(row.permission)).Register(named("x", func(context.Context) (any, error) {
			ran = true
			return "ok", nil
		}))
		_, err := run(kit.Tools()[0], map[string]any{"a": 1})
		if row.want == "" && (err != nil || !ran) || row.want != "" && (err == nil || err.Error() != row.want || ran) {
			t.Errorf("%s: %v, ran: %v", row.name, err, ran)
		}
	}
	if asked.ToolName != "x" || asked.Step != 3 || asked.Input.(map[string]any)["a"] != 1 {
		t.Fatalf("%+v", asked)
	}
}

func TestTheFirstMiddlewareIsOutermostAndThePermissionInnermost(t *testing.T) {
	var order []string
	trace := func(name string) toolkit.Middleware {
		return func(_ string, next agent.ToolExecuteFunc) agent.ToolExecuteFunc {
			return func(ctx context.Context, input any, execution agent.ToolExecutionContext) (any, error) {
				order = append(order, name)
				return next(ctx, input, execution)
			}
		}
	}
	ask := func(context.Context, toolkit.PermissionRequest) (bool, error) {
		order = append(order, "ask")
		return true, nil
	}
	kit := toolkit.New(
		toolkit.WithMiddleware(trace("a"), nil, trace("b")), toolkit.WithMiddleware(trace("c")),
		toolkit.WithPermission(toolkit.Permission{Mode: toolkit.PermissionAsk, Ask: ask}),
	).Register(named("x", func(context.Context) (any, error) { order = append(order, "x"); return nil, nil }))
	_, err := run(kit.Tools()[0], nil)
	must(t, err)
	if !slices.Equal(order, []string{"a", "b", "c", "ask", "x"}) {
		t.Fatal(order)
	}
}

func TestAToolWithTheSameNameTakesThePlaceOfTheOther(t *testing.T) {
	say := func(text string) agent.AgentTool {
		return named("x", func(context.Context) (any, error) { return text, nil })
	}
	other := named("y", nil)
	kit := toolkit.New().Register(say("first"), other, say("second"))
	if names := toolNames(kit.Tools()); !slices.Equal(names, []string{"x", "y"}) {
		t.Fatal(names)
	}
	if said, _ := run(kit.Tools()[0], nil); said != "second" {
		t.Fatal(said)
	}
}

func TestAnApprovalStaysOnAWrappedTool(t *testing.T) {
	kit := toolkit.New(toolkit.WithMiddleware(toolkit.Timeout(time.Second)))
	kit.Register(agent.RequireApproval(named("x", nil)))
	if wrapped := kit.Tools()[0]; wrapped.RequiresApproval == nil || !wrapped.RequiresApproval(nil) {
		t.Fatal("the approval is lost")
	}
}

func TestTimeout(t *testing.T) {
	limit := 20 * time.Millisecond
	obedient := named("x", func(ctx context.Context) (any, error) { <-ctx.Done(); return nil, ctx.Err() })
	release := make(chan struct{})
	stubborn := named("x", func(context.Context) (any, error) { <-release; return "late", nil })
	for name, tool := range map[string]agent.AgentTool{"obedient": obedient, "stubborn": stubborn} {
		kit := toolkit.New(toolkit.WithMiddleware(toolkit.Timeout(limit))).Register(tool)
		if _, err := run(kit.Tools()[0], nil); err == nil || err.Error() != `tool "x" timed out after 20ms` {
			t.Errorf("%s: %v", name, err)
		}
	}
	close(release)
	quick := named("x", func(context.Context) (any, error) { return "ok", nil })
	panics := named("x", func(context.Context) (any, error) { panic("oh") })
	for _, bound := range []time.Duration{0, -1, time.Minute} {
		kit := toolkit.New(toolkit.WithMiddleware(toolkit.Timeout(bound)))
		if said, err := run(kit.Register(quick).Tools()[0], nil); said != "ok" || err != nil {
			t.Error(bound, said, err)
		}
		if _, err := run(kit.Register(panics).Tools()[0], nil); err == nil || err.Error() != "tool panicked: oh" {
			t.Error(bound, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	kit := toolkit.New(toolkit.WithMiddleware(toolkit.Timeout(time.Minute))).Register(obedient)
	if _, err := kit.Tools()[0].Execute(ctx, nil, agent.ToolExecutionContext{}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
}

func TestAuditHearsOfEveryEnd(t *testing.T) {
	var heard []string
	log := func(name string, input any, err error) {
		line := name + " " + input.(map[string]any)["n"].(string)
		if err != nil {
			line += ": " + err.Error()
		}
		heard = append(heard, line)
	}
	kit := toolkit.New(toolkit.WithMiddleware(toolkit.Audit(log), toolkit.Audit(nil)))
	kit.Register(named("a", func(context.Context) (any, error) { return 1, nil }))
	kit.Register(named("b", func(context.Context) (any, error) { return nil, errors.New("no") }))
	kit.Register(named("c", func(context.Context) (any, error) { panic("oh") }))
	for i, tool := range kit.Tools() {
		_, _ = run(tool, map[string]any{"n": string(rune('1' + i))})
	}
	if !slices.Equal(heard, []string{"a 1", "b 2: no", "c 3: tool panicked: oh"}) {
		t.Fatal(heard)
	}
}

func TestDefaultsAreThereWhereNoToolsAreNamed(t *testing.T) {
	if names := toolNames(toolkit.WithDefaults(agent.AgentOptions{}).Tools); !slices.Equal(names, []string{"calculator", "datetime"}) {
		t.Fatal(names)
	}
	none := toolkit.WithDefaults(agent.AgentOptions{Tools: []agent.AgentTool{}})
	if none.Tools == nil || len(none.Tools) != 0 {
		t.Fatal(none.Tools)
	}
}

// oneCall is a model that calls one tool, and then says what it returned.
type oneCall struct{ name, arguments string }

func (m oneCall) Complete(_ context.Context, request agent.ModelRequest) (agent.ModelResponse, error) {
	last := request.Messages[len(request.Messages)-1]
	if last.Role == "tool" {
		return agent.ModelResponse{Message: joytoken.ChatMessage{Role: "assistant", Content: last.Content}}, nil
	}
	return agent.ModelResponse{Message: joytoken.ChatMessage{Role: "assistant", ToolCalls: []joytoken.ToolCall{{
		ID: "call_1", Type: "function", Function: joytoken.ToolFunction{Name: m.name, Arguments: m.arguments},
	}}}}, nil
}

func TestADefaultAgentCanCalculate(t *testing.T) {
	assistant := toolkit.NewAgent(agent.AgentOptions{Model: oneCall{"calculator", `{"expression":"6*7"}`}})
	result, err := assistant.Run(context.Background(), "Six times seven?")
	must(t, err)
	if result.FinalText != `{"result":42}` {
		t.Fatal(result.FinalText)
	}
}

// Check 95: without a permission the model is told that a write was refused, and the disk is as it was; paths and links
// that lead out of the folder are refused.
func TestCheck95WritesAreRefusedWithoutPermission(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	must(t, os.WriteFile(filepath.Join(root, "here.txt"), []byte("hello"), 0o600))
	must(t, os.WriteFile(filepath.Join(outside, "secret.txt"), []byte("secret"), 0o600))
	must(t, os.Symlink(outside, filepath.Join(root, "out")))
	yes := func(context.Context, toolkit.PermissionRequest) (bool, error) { return true, nil }
	no := func(context.Context, toolkit.PermissionRequest) (bool, error) { return false, nil }
	table := []struct {
		name      string
		ask       toolkit.PermissionFunc
		tool      string
		arguments string
		want      string
	}{
		{"reading is free", nil, "file_read", `{"path":"here.txt"}`, `"content":"hello"`},
		{"listing is free", nil, "list_dir", `{}`, `here.txt`},
		{"searching is free", nil, "file_search", `{"pattern":"*.txt"}`, `here.txt`},
		{"nobody to ask", nil, "file_write", `{"path":"new.txt","content":"x"}`, "requires approval but no permission handler"},
		{"refused", no, "file_write", `{"path":"new.txt","content":"x"}`, "rejected by permission handler"},
		{"a path out", yes, "file_write", `{"path":"../new.txt","content":"x"}`, "Tool error: "},
		{"an absolute path", yes, "file_write", `{"path":"` + filepath.Join(outside, "new.txt") + `","content":"x"}`, "Tool error: "},
		{"a link out", yes, "file_write", `{"path":"out/new.txt","content":"x"}`, "Tool error: "},
		{"a link out, read", yes, "file_read", `{"path":"out/secret.txt"}`, "Tool error: "},
	}
	for _, row := range table {
		assistant := agent.New(agent.AgentOptions{
			Model: oneCall{row.tool, row.arguments}, Tools: toolkit.Workspace(root, row.ask),
		})
		result, err := assistant.Run(context.Background(), "Go.")
		must(t, err)
		if !strings.Contains(result.FinalText, row.want) || strings.Contains(result.FinalText, "secret") &&
			!strings.Contains(result.FinalText, "Tool error") {
			t.Errorf("%s: %s", row.name, result.FinalText)
		}
	}
	for _, path := range []string{
		filepath.Join(root, "new.txt"), filepath.Join(outside, "new.txt"), filepath.Join(filepath.Dir(root), "new.txt"),
	} {
		if _, err := os.Lstat(path); err == nil {
			t.Errorf("%s was written", path)
		}
	}
	assistant := agent.New(agent.AgentOptions{
		Model: oneCall{"file_write", `{"path":"new.txt","content":"x"}`}, Tools: toolkit.Workspace(root, yes),
	})
	_, err := assistant.Run(context.Background(), "Go.")
	must(t, err)
	if data, err := os.ReadFile(filepath.Join(root, "new.txt")); string(data) != "x" {
		t.Fatal(data, err)
	}
}

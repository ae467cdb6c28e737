package agent_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	joytoken "joytoken.example/sdk-go"
	"joytoken.example/sdk-go/agent"
)

// frail is a store that breaks at its n-th save, as a process does that dies there.
type frail struct {
	agent.RunStore
	left int
}

var errDied = errors.New("died")

func (s *frail) Save(ctx context.Context, state *agent.RunState) error {
	if s.left--; s.left < 0 {
		return errDied
	}
	return s.RunStore.Save(ctx, state)
}

func stores(t *testing.T) map[string]agent.RunStore {
	return map[string]agent.RunStore{"memory": agent.NewMemoryStore(), "file": agent.NewFileStore(filepath.Join(t.TempDir(), "runs"))}
}

// Wherever a run dies, it goes on in another process as if it had not: every call is made again under its own key with
// the same request, or not at all.
func TestARunThatDiesAnywhereGoesOnWhereItWas(t *testing.T) {
	answers := []any{
		charged(calls("again", `{"a":"<&>"}`, "again", "{}"), "req-1", "0.1"),
		charged(calls("again", "{}"), "req-2", "0.2"), charged(says("Done."), "req-3", "0.000000003"),
	}
	for name, store := range stores(t) {
		for death := 1; death <= 6; death++ {
			model := &replaying{answers: answers}
			assistant := func(store agent.RunStore) *agent.Agent {
				return agent.New(agent.AgentOptions{
					Model: model, System: "Be brief.", Tools: []agent.AgentTool{textTool("again", "ok")}, Store: store,
				})
			}
			id := name + string(rune('0'+death))
			run := agent.AgentRunOptions{
				Input: "Go.", Run: &agent.RunOptions{ID: id, Workflow: "nightly"},
				Messages: []joytoken.ChatMessage{{Role: "user", Content: []part{{Type: "text", Text: "<>", Detail: 1e21}}}},
			}
			result, err := assistant(&frail{store, death}).RunWithOptions(context.Background(), run)
			if death < 6 && !errors.Is(err, errDied) || death == 6 && err != nil {
				t.Fatal(name, death, err)
			}
			result, err = assistant(store).Resume(context.Background(), id, agent.ResumeOptions{})
			must(t, err)
			if result.FinalText != "Done." || result.CreditsUsed != "0.300000003" || len(result.Steps) != 3 ||
				strings.Join(result.RequestIDs, " ") != "req-1 req-2 req-3" || result.Usage.TotalTokens != 45 ||
				result.Steps[0].Index != 1 || len(result.Messages) != 9 {
				t.Fatalf("%s, death %d: %+v", name, death, result)
			}
			if model.paid != 3 || model.broken {
				t.Fatalf("%s, death %d: %d calls were paid", name, death, model.paid)
			}
		}
	}
}

// part is a content part whose fields are not in the order of the alphabet.
type part struct {
	Type   string  `json:"type"`
	Text   string  `json:"text"`
	Detail float64 `json:"detail"`
}

// replaying is a gateway's idempotency: the same key gives the same answer, once paid, for the same request.
type replaying struct {
	answers []any
	seen    map[string]string
	paid    int
	broken  bool
}

func (m *replaying) Complete(_ context.Context, request agent.ModelRequest) (agent.ModelResponse, error) {
	key, body := request.IdempotencyKey, textOf(request.Messages)+textOf(request.Tools)+textOf(request.ToolChoice)
	if m.seen == nil {
		m.seen = map[string]string{}
	}
	before, again := m.seen[key]
	m.broken = m.broken || again && before != body || !request.Durable
	if !again {
		m.paid++
	}
	m.seen[key] = body
	number := int(key[strings.LastIndex(key, ":")+1] - '0')
	return m.answers[number-1].(agent.ModelResponse), nil
}

func TestACallThatIsStillUnderWayElsewhereIsWaitedFor(t *testing.T) {
	busy := `{"error":{"message":"busy","type":"conflict_error","code":"idempotency_in_progress"}}`
	gateway := newFakeGateway(t, gatewayAnswer{status: 409, body: busy, retryAfter: "0"},
		gatewayAnswer{status: 409, body: busy, retryAfter: "0"}, gatewayAnswer{body: sayDone})
	options := agent.AgentOptions{Model: agent.NewJoyTokenProvider(gateway.client()), Store: agent.NewMemoryStore()}
	result, err := agent.New(options).Run(context.Background(), "Go.")
	must(t, err)
	seen := gateway.seen()
	if result.FinalText != "Done." || len(seen) != 3 || seen[0].header.Get("Idempotency-Key") != seen[2].header.Get("Idempotency-Key") {
		t.Fatal(result, len(seen))
	}
	// Who has no store has no other process.
	gateway = newFakeGateway(t, gatewayAnswer{status: 409, body: busy, retryAfter: "0"})
	options = agent.AgentOptions{Model: agent.NewJoyTokenProvider(gateway.client())}
	if _, err := agent.New(options).Run(context.Background(), "Go."); err == nil || len(gateway.seen()) != 1 {
		t.Fatal(err)
	}
	// The end of the context ends the waiting.
	gateway = newFakeGateway(t, gatewayAnswer{status: 409, body: busy, retryAfter: "7"})
	options = agent.AgentOptions{Model: agent.NewJoyTokenProvider(gateway.client()), Store: agent.NewMemoryStore()}
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if _, err := agent.New(options).Run(ctx, "Go."); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
}

func TestARunThatIsDoneIsNotRunAgain(t *testing.T) {
	for name, store := range stores(t) {
		model := scripted(says("Hi."))
		assistant := agent.New(agent.AgentOptions{Model: model, Store: store})
		first, err := assistant.Run(context.Background(), "Hello!")
		must(t, err)
		again, err := assistant.Resume(context.Background(), first.RunID, agent.ResumeOptions{})
		must(t, err)
		if again.FinalText != "Hi." || again.Status != agent.StatusDone || model.count() != 1 {
			t.Errorf("%s: %+v", name, again)
		}
	}
}

func TestAStoppedRunGoesOnWhereTheBoundIsWider(t *testing.T) {
	model := scripted(calls("again", "{}"), says("Done."))
	assistant := agent.New(agent.AgentOptions{
		Model: model, Tools: []agent.AgentTool{textTool("again", "ok")}, Store: agent.NewMemoryStore(),
	})
	result, err := assistant.RunWithOptions(context.Background(), agent.AgentRunOptions{Input: "Go.", MaxSteps: agent.Int(1)})
	must(t, err)
	if result.StoppedBy != "step_count:1" {
		t.Fatal(result.StoppedBy)
	}
	result, err = assistant.Resume(context.Background(), result.RunID, agent.ResumeOptions{})
	must(t, err)
	if result.FinalText != "Done." || result.StoppedBy != "" {
		t.Fatalf("%+v", result)
	}
}

func TestAFileStoreIsPrivateAndWhole(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "runs")
	store := agent.NewFileStore(folder)
	assistant := agent.New(agent.AgentOptions{Model: scripted(says("Hi.")), Store: store})
	_, err := assistant.RunWithOptions(context.Background(), agent.AgentRunOptions{
		Input: "Hello!", Run: &agent.RunOptions{ID: "../../escape"},
	})
	must(t, err)
	entries, err := os.ReadDir(folder)
	must(t, err)
	if len(entries) != 1 || entries[0].Name() != "%2E.%2F..%2Fescape.json" {
		t.Fatal(entries)
	}
	info, err := entries[0].Info()
	must(t, err)
	if info.Mode() != 0o600 {
		t.Fatal(info.Mode())
	}
	path := filepath.Join(folder, entries[0].Name())
	for name, text := range map[string]string{
		"no JSON": "{", "empty": "", "another run": strings.ReplaceAll(readFile(t, path), "../../escape", "other"),
	} {
		must(t, os.WriteFile(path, []byte(text), 0o600))
		if _, err := store.Load(context.Background(), "../../escape"); err == nil || errors.Is(err, agent.ErrRunNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := store.Load(context.Background(), "other"); !errors.Is(err, agent.ErrRunNotFound) {
		t.Error(err)
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	return string(data)
}

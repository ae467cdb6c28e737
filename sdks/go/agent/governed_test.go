package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"

	joytoken "joytoken.example/sdk-go"
	"joytoken.example/sdk-go/agent"
)

const (
	askAgain = `{"choices":[{"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_a","type":"function",` +
		`"function":{"name":"again","arguments":"{}"}}]}}],"metadata":{"request_id":"req-1","tier":"standard",` +
		`"billing":{"credits_used":"0.000000001","ending":"completed"}}}`
	sayDone = `{"choices":[{"message":{"role":"assistant","content":"Done."}}],"metadata":{"request_id":"req-2",` +
		`"billing":{"credits_used":"0.2"}}}`
)

func TestEveryModelCallIsGoverned(t *testing.T) {
	for _, protocol := range []agent.Protocol{agent.OpenAIProtocol, agent.AnthropicProtocol} {
		gateway := newFakeGateway(t, gatewayAnswer{body: askAgain}, gatewayAnswer{body: sayDone})
		assistant := agent.New(agent.AgentOptions{
			Model: agent.NewJoyTokenProvider(gateway.client(), agent.WithProtocol(protocol), agent.WithModel("echo/echo")),
			Tools: []agent.AgentTool{textTool("again", "ok")},
		})
		result, err := assistant.RunWithOptions(context.Background(), agent.AgentRunOptions{Input: "Go.", Run: &agent.RunOptions{
			ID: "run-1", ParentID: "run-0", Workflow: "nightly", Budget: "0.5",
		}})
		must(t, err)
		for i, call := range gateway.seen() {
			number := string(rune('1' + i))
			for name, want := range map[string]string{
				"X-JoyToken-Run-Id": "run-1", "X-JoyToken-Parent-Run-Id": "run-0", "X-JoyToken-Workflow": "nightly",
				"X-JoyToken-Run-Budget": "0.5", "X-JoyToken-Step": number, "Idempotency-Key": "run-1:" + number,
				"X-JoyToken-On-Disconnect": "stop",
			} {
				if got := call.header.Get(name); got != want {
					t.Errorf("%s, call %s: %s is %q", protocol, number, name, got)
				}
			}
			if call.body["model"] != "echo/echo" {
				t.Error(call.raw)
			}
		}
		if result.CreditsUsed != "0.200000001" || strings.Join(result.RequestIDs, " ") != "req-1 req-2" ||
			result.RunID != "run-1" || result.Steps[0].CallMetadata().Tier != "standard" || result.Steps[0].RequestID != "req-1" {
			t.Fatalf("%+v", result)
		}
	}
}

func TestARunWithoutANameGetsOne(t *testing.T) {
	gateway := newFakeGateway(t, gatewayAnswer{body: sayDone})
	assistant := agent.New(agent.AgentOptions{Model: agent.NewJoyTokenProvider(gateway.client())})
	var ids []string
	for range 2 {
		result, err := assistant.Run(context.Background(), "Go.")
		must(t, err)
		ids = append(ids, result.RunID)
	}
	for i, call := range gateway.seen() {
		if call.header.Get("X-JoyToken-Run-Id") != ids[i] || !regexp.MustCompile(`^run-[0-9a-f]{32}$`).MatchString(ids[i]) {
			t.Fatal(ids)
		}
	}
	if ids[0] == ids[1] {
		t.Fatal("two runs have one name")
	}
}

func TestNamesThatNoHeaderCanCarryAreRefused(t *testing.T) {
	model := scripted(says("Hi."))
	for field, run := range map[string]*agent.RunOptions{
		"Run.ID": {ID: "a\r\nX-Evil: 1"}, "Run.ParentID": {ParentID: "a b"}, "Run.Workflow": {Workflow: "ü"},
		"Run.Budget": {Budget: "much"},
	} {
		_, err := agent.New(agent.AgentOptions{Model: model}).RunWithOptions(context.Background(), agent.AgentRunOptions{Run: run})
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	_, err := agent.New(agent.AgentOptions{Model: model}).RunWithOptions(context.Background(), agent.AgentRunOptions{
		Run: &agent.RunOptions{ID: strings.Repeat("r", 129)},
	})
	if err == nil || model.count() != 0 {
		t.Fatal(err, model.count())
	}
}

func TestARefusalEndsTheRunWithoutAnError(t *testing.T) {
	refusal := `{"error":{"message":"no","type":"insufficient_quota","code":"budget_exceeded","request_id":"req-9"}}`
	gateway := newFakeGateway(t, gatewayAnswer{body: askAgain}, gatewayAnswer{status: 402, body: refusal})
	store := agent.NewMemoryStore()
	assistant := agent.New(agent.AgentOptions{
		Model: agent.NewJoyTokenProvider(gateway.client()), Tools: []agent.AgentTool{textTool("again", "ok")}, Store: store,
	})
	result, err := assistant.Run(context.Background(), "Go.")
	must(t, err)
	if result.StoppedBy != "insufficient_quota:budget_exceeded" || result.Status != agent.StatusStopped ||
		result.Refusal.StatusCode != 402 || result.Refusal.RequestID != "req-9" || len(result.Steps) != 1 {
		t.Fatalf("%+v", result)
	}
	state, err := store.Load(context.Background(), result.RunID)
	must(t, err)
	if state.Status != agent.StatusStopped || *state.StoppedBy != result.StoppedBy {
		t.Fatalf("%+v", state)
	}
}

func TestEveryOtherFailureIsAnErrorWithWhatWasDone(t *testing.T) {
	gateway := newFakeGateway(t, gatewayAnswer{body: askAgain}, gatewayAnswer{status: 503, body: `{"error":{"message":"away"}}`},
		gatewayAnswer{body: sayDone})
	store := agent.NewMemoryStore()
	assistant := agent.New(agent.AgentOptions{
		Model: agent.NewJoyTokenProvider(gateway.client()), Tools: []agent.AgentTool{textTool("again", "ok")}, Store: store,
	})
	result, err := assistant.RunWithOptions(context.Background(), agent.AgentRunOptions{
		Input: "Go.", Run: &agent.RunOptions{ID: "run-1"},
	})
	var apiErr *joytoken.APIError
	if !errors.As(err, &apiErr) || apiErr.StatusCode != 503 || len(result.Steps) != 1 || result.CreditsUsed != "0.000000001" {
		t.Fatal(err, result)
	}
	result, err = assistant.Resume(context.Background(), "run-1", agent.ResumeOptions{})
	must(t, err)
	seen := gateway.seen()
	if result.FinalText != "Done." || len(seen) != 3 || seen[1].raw != seen[2].raw ||
		seen[2].header.Get("Idempotency-Key") != "run-1:2" {
		t.Fatal(result, len(seen))
	}
}

func TestADurableRunHasItsCallsFinishedByTheGateway(t *testing.T) {
	gateway := newFakeGateway(t, gatewayAnswer{body: sayDone})
	model := agent.NewJoyTokenProvider(gateway.client())
	_, err := agent.New(agent.AgentOptions{Model: model, Store: agent.NewMemoryStore()}).Run(context.Background(), "Go.")
	must(t, err)
	if got := gateway.seen()[0].header.Get("X-JoyToken-On-Disconnect"); got != "finish" {
		t.Fatal(got)
	}
}

func TestACallThatIsMadeAgainIsNotEndedByItsCaller(t *testing.T) {
	gateway := newFakeGateway(t, gatewayAnswer{body: sayDone})
	twice := 2
	ctx := joytoken.WithCall(context.Background(), joytoken.CallOptions{MaxRetries: &twice})
	_, err := agent.New(agent.AgentOptions{Model: agent.NewJoyTokenProvider(gateway.client())}).Run(ctx, "Go.")
	must(t, err)
	if got := gateway.seen()[0].header.Values("X-JoyToken-On-Disconnect"); got != nil {
		t.Fatal(got)
	}
}

func TestTheForcedToolIsForcedOnce(t *testing.T) {
	for _, row := range []struct{ choice, later any }{
		{"required", "auto"}, {"none", "none"}, {"auto", "auto"}, {nil, nil},
		{map[string]any{"type": "function", "function": map[string]any{"name": "again"}}, "auto"},
	} {
		model := scripted(calls("again", "{}"), says("Done."))
		_, err := agent.New(agent.AgentOptions{
			Model: model, Tools: []agent.AgentTool{textTool("again", "ok")}, ToolChoice: row.choice,
		}).Run(context.Background(), "Go.")
		must(t, err)
		first, _ := json.Marshal(model.requests[0].ToolChoice)
		want, _ := json.Marshal(row.choice)
		if string(first) != string(want) || model.requests[1].ToolChoice != row.later {
			t.Errorf("%v: %s, %v", row.choice, first, model.requests[1].ToolChoice)
		}
	}
	gateway := newFakeGateway(t, gatewayAnswer{body: sayDone})
	_, err := agent.New(agent.AgentOptions{
		Model: agent.NewJoyTokenProvider(gateway.client(), agent.WithProtocol(agent.AnthropicProtocol)), ToolChoice: "required",
		Tools: []agent.AgentTool{textTool("again", "ok")},
	}).Run(context.Background(), "Go.")
	must(t, err)
	if choice := gateway.seen()[0].body["tool_choice"]; choice != "required" {
		t.Fatal(choice)
	}
}

func TestTheKeyIsInNoError(t *testing.T) {
	gateway := newFakeGateway(t, gatewayAnswer{status: http.StatusUnauthorized, body: `{"error":{"message":"no","type":"missing_api_key"}}`})
	client := joytoken.NewClient(joytoken.WithAPIKey("jt_live_secret"), joytoken.WithAPIBaseURL(gateway.URL))
	result, err := agent.New(agent.AgentOptions{Model: agent.NewJoyTokenProvider(client)}).Run(context.Background(), "Go.")
	state, _ := json.Marshal(result.State)
	if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(string(state), "secret") {
		t.Fatal(err)
	}
}

package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"joytoken.example/sdk-go/agent"
)

// wiper counts how often each of its tools was run.
type wiper struct {
	mu   sync.Mutex
	runs []string
}

func (w *wiper) tool(name string) agent.AgentTool {
	return agent.AgentTool{Name: name, Execute: func(_ context.Context, _ any, execution agent.ToolExecutionContext) (any, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.runs = append(w.runs, execution.ToolCall.ID)
		return name + " done", nil
	}}
}

func (w *wiper) ran() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.runs, " ")
}

func TestAnApprovalPausesTheRunAndADecisionResumesIt(t *testing.T) {
	model := scripted(calls("wipe", `{"n":1}`, "look", "{}", "wipe", `{"n":3}`), says("Done."))
	tools := &wiper{}
	store := agent.NewMemoryStore()
	assistant := agent.New(agent.AgentOptions{
		Model: model, Tools: []agent.AgentTool{agent.RequireApproval(tools.tool("wipe")), tools.tool("look")}, Store: store,
	})
	ctx := context.Background()
	var events []agent.EventType
	result, err := assistant.RunWithOptions(ctx, agent.AgentRunOptions{
		Input: "Go.", Run: &agent.RunOptions{ID: "run-1"},
		OnEvent: func(event agent.Event) error { events = append(events, event.Type); return nil },
	})
	must(t, err)
	if result.Status != agent.StatusPending || result.StoppedBy != "approval" || len(result.Pending) != 2 ||
		result.Pending[0].ToolCallID != "call_1" || result.Pending[1].Input.(map[string]any)["n"] != 3.0 || tools.ran() != "call_2" {
		t.Fatalf("%+v, ran %s", result, tools.ran())
	}
	if last := events[len(events)-2:]; last[0] != agent.EventPending || last[1] != agent.EventDone {
		t.Fatal(events)
	}
	// Nobody has decided on the third one yet.
	result, err = assistant.Resume(ctx, "run-1", agent.ResumeOptions{Decisions: map[string]agent.Decision{
		"call_1": agent.Approve(), "call_2": agent.Reject("too late"), "call_9": agent.Approve(),
	}})
	must(t, err)
	if result.Status != agent.StatusPending || len(result.Pending) != 1 || tools.ran() != "call_2 call_1" || model.count() != 1 {
		t.Fatalf("%+v, ran %s", result, tools.ran())
	}
	// The state is JSON that somebody else can hold.
	data, err := json.Marshal(result.State)
	must(t, err)
	state, err := agent.ParseRunState(data)
	must(t, err)
	result, err = assistant.ResumeState(ctx, state, agent.ResumeOptions{Decisions: map[string]agent.Decision{
		"call_3": agent.Reject(""),
	}})
	must(t, err)
	if result.Status != agent.StatusDone || result.FinalText != "Done." || tools.ran() != "call_2 call_1" {
		t.Fatalf("%+v, ran %s", result, tools.ran())
	}
	told := result.Steps[0].ToolResults
	if told[0].Content != "wipe done" || told[1].Content != "look done" || told[2].Content != "Tool call rejected: not approved" ||
		!told[2].IsError || told[0].IsError {
		t.Fatalf("%+v", told)
	}
	for i, id := range []string{"call_1", "call_2", "call_3"} {
		if result.Messages[2+i].ToolCallID != id {
			t.Fatalf("%+v", result.Messages)
		}
	}
	if state.Status != agent.StatusPending {
		t.Fatal("the given state was changed")
	}
}

func TestAToolDecidesByItsInputWhetherItNeedsApproval(t *testing.T) {
	tools := &wiper{}
	pay := tools.tool("pay")
	pay.RequiresApproval = func(input any) bool { return input.(map[string]any)["amount"].(float64) > 10 } // panics without one
	model := scripted(calls("pay", `{"amount":5}`, "pay", `{"amount":50}`, "pay", `{}`), says("Done."))
	result, err := agent.New(agent.AgentOptions{Model: model, Tools: []agent.AgentTool{pay}}).Run(context.Background(), "Go.")
	must(t, err)
	if tools.ran() != "call_1" || len(result.Pending) != 2 {
		t.Fatalf("%+v, ran %s", result.Pending, tools.ran())
	}
}

// An id is the provider's: another call may have the same one, and was not what somebody decided on.
func TestADecisionIsOfOneCallAlone(t *testing.T) {
	tools := &wiper{}
	wipe := agent.RequireApproval(tools.tool("wipe"))
	decisions := map[string]agent.Decision{"call_1": agent.Approve()}
	for name, model := range map[string]*script{
		"after the decided one": scripted(calls("wipe", `{"disk":1}`), calls("wipe", `{"disk":2}`)),
		"after none":            scripted(errDied, calls("wipe", `{"disk":2}`)),
	} {
		tools.runs = nil
		assistant := agent.New(agent.AgentOptions{Model: model, Tools: []agent.AgentTool{wipe}, Store: agent.NewMemoryStore()})
		result, _ := assistant.Run(context.Background(), "Go.")
		result, err := assistant.Resume(context.Background(), result.RunID, agent.ResumeOptions{Decisions: decisions})
		must(t, err)
		if result.Status != agent.StatusPending || result.Pending[0].Input.(map[string]any)["disk"] != 2.0 ||
			tools.ran() != "" && name == "after none" {
			t.Errorf("%s: %+v, ran %s", name, result, tools.ran())
		}
	}
}

func TestAReasonIsToldToTheModel(t *testing.T) {
	tools := &wiper{}
	assistant := agent.New(agent.AgentOptions{
		Model: scripted(calls("wipe", "{}"), says("Done.")), Tools: []agent.AgentTool{agent.RequireApproval(tools.tool("wipe"))},
	})
	result, err := assistant.Run(context.Background(), "Go.")
	must(t, err)
	result, err = assistant.ResumeState(context.Background(), result.State, agent.ResumeOptions{
		Decisions: map[string]agent.Decision{"call_1": agent.Reject("not on a Friday")},
	})
	must(t, err)
	if result.Steps[0].ToolResults[0].Content != "Tool call rejected: not on a Friday" || tools.ran() != "" {
		t.Fatalf("%+v", result.Steps[0])
	}
}

func TestWhatCannotBeResumed(t *testing.T) {
	assistant := agent.New(agent.AgentOptions{Model: scripted(says("Hi.")), Store: agent.NewMemoryStore()})
	ctx := context.Background()
	if _, err := assistant.Resume(ctx, "nobody", agent.ResumeOptions{}); !errors.Is(err, agent.ErrRunNotFound) {
		t.Error(err)
	}
	if _, err := agent.New(agent.AgentOptions{}).Resume(ctx, "run-1", agent.ResumeOptions{}); err == nil {
		t.Error("resumed without a store")
	}
	for name, state := range map[string]*agent.RunState{"nil": nil, "empty": {}} {
		if _, err := assistant.ResumeState(ctx, state, agent.ResumeOptions{}); err == nil {
			t.Errorf("%s: resumed", name)
		}
	}
	run := agent.AgentRunOptions{Input: "Hello!", Run: &agent.RunOptions{ID: "run-1"}}
	_, err := assistant.RunWithOptions(ctx, run)
	must(t, err)
	if _, err := assistant.RunWithOptions(ctx, run); err == nil || !strings.Contains(err.Error(), "resume it") {
		t.Error(err)
	}
}

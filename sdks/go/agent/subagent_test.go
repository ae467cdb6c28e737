package agent_test

import (
	"context"
	"strings"
	"testing"

	"joytoken.example/sdk-go/agent"
)

func TestASubAgentIsAChildRun(t *testing.T) {
	store := agent.NewMemoryStore()
	inner := scripted(charged(says("Paris is in France."), "req-2", "0.25"), charged(says("Rome is in Italy."), "req-3", "0.000000001"))
	expert := agent.New(agent.AgentOptions{Model: inner, System: "You know cities."})
	// The provider gives both calls one id, as some do.
	outer := scripted(charged(calls("expert", `{"input":"Where is Paris?"}`), "req-1", "0.5"),
		charged(calls("expert", `{"input":"Where is Rome?"}`), "req-4", "0.5"), charged(says("Both are known."), "req-5", "0.5"))
	assistant := agent.New(agent.AgentOptions{
		Model: outer, Tools: []agent.AgentTool{expert.AsTool("expert", "Knows cities")}, Store: store, ToolConcurrency: 2,
	})
	result, err := assistant.RunWithOptions(context.Background(), agent.AgentRunOptions{
		Input: "Go.", Run: &agent.RunOptions{ID: "run-1", Workflow: "nightly", Budget: "5"},
	})
	must(t, err)
	if result.Steps[0].ToolResults[0].Content != "Paris is in France." || result.Steps[1].ToolResults[0].Content != "Rome is in Italy." {
		t.Fatalf("%+v", result.Steps)
	}
	if result.CreditsUsed != "1.750000001" || result.Usage.TotalTokens != 75 {
		t.Fatal(result.CreditsUsed, result.Usage)
	}
	for i, id := range []string{"run-1.call_1", "run-1.call_1-2"} {
		run := inner.requests[i].Run
		if run.ID != id || run.ParentID != "run-1" || run.Workflow != "nightly" || run.Budget != "" || run.Step != "1" ||
			inner.requests[i].IdempotencyKey != id+":1" {
			t.Errorf("%+v", run)
		}
		state, err := store.Load(context.Background(), id)
		must(t, err)
		if state.Status != agent.StatusDone || *state.Run.ParentID != "run-1" {
			t.Errorf("%+v", state)
		}
	}
}

func TestASubAgentThatWasDoneBeforeACrashIsNotRunAgain(t *testing.T) {
	inner := scripted(charged(says("Paris."), "req-2", "0.25"))
	outer := scripted(charged(calls("expert", `{"input":"Where?"}`), "req-1", "0.5"), charged(says("Done."), "req-3", "0.5"))
	whole := agent.NewMemoryStore()
	options := agent.AgentOptions{
		Model: outer, Tools: []agent.AgentTool{agent.New(agent.AgentOptions{Model: inner}).AsTool("expert", "")},
		Store: &frail{whole, 4}, // begun, answered, the child begun and done; then it dies
	}
	run := agent.AgentRunOptions{Input: "Go.", Run: &agent.RunOptions{ID: "run-1"}}
	if _, err := agent.New(options).RunWithOptions(context.Background(), run); err == nil {
		t.Fatal("it did not die")
	}
	options.Store = whole
	result, err := agent.New(options).Resume(context.Background(), "run-1", agent.ResumeOptions{})
	must(t, err)
	if result.FinalText != "Done." || result.CreditsUsed != "1.250000" || inner.count() != 1 || outer.count() != 2 {
		t.Fatalf("%+v, %d, %d", result, inner.count(), outer.count())
	}
}

func TestAnApprovalOfASubAgentPausesItsParent(t *testing.T) {
	tools := &wiper{}
	inner := scripted(charged(calls("wipe", `{"n":1}`, "look", "{}", "wipe", `{"n":2}`), "req-2", "0.25"), charged(says("Wiped."), "req-3", "0.25"))
	child := agent.New(agent.AgentOptions{
		Model: inner, Tools: []agent.AgentTool{agent.RequireApproval(tools.tool("wipe")), tools.tool("look")},
	})
	middle := agent.New(agent.AgentOptions{
		Model: scripted(calls("child", `{"input":"x"}`), says("Done below.")), Tools: []agent.AgentTool{child.AsTool("child", "")},
	})
	outer := scripted(charged(calls("middle", `{"input":"x"}`, "look", "{}"), "req-1", "0.5"), charged(says("All done."), "req-4", "0.5"))
	assistant := agent.New(agent.AgentOptions{
		Model: outer, Tools: []agent.AgentTool{middle.AsTool("middle", ""), tools.tool("look")}, Store: agent.NewMemoryStore(),
	})
	ctx := context.Background()
	result, err := assistant.Run(ctx, "Go.")
	must(t, err)
	if result.Status != agent.StatusPending || len(result.Pending) != 2 || result.Pending[0].ToolCallID != "call_1/call_1/call_1" ||
		result.Pending[1].ToolName != "wipe" || result.CreditsUsed != "0.500000" || tools.ran() != "call_2 call_2" {
		t.Fatalf("%+v, ran %s", result, tools.ran())
	}
	result, err = assistant.Resume(ctx, result.RunID, agent.ResumeOptions{Decisions: map[string]agent.Decision{
		"call_1/call_1/call_1": agent.Approve(), "call_1": agent.Approve(), "call_3": agent.Approve(),
	}})
	must(t, err)
	if len(result.Pending) != 1 || result.Pending[0].ToolCallID != "call_1/call_1/call_3" || tools.ran() != "call_2 call_2 call_1" {
		t.Fatalf("%+v, ran %s", result.Pending, tools.ran())
	}
	result, err = assistant.Resume(ctx, result.RunID, agent.ResumeOptions{Decisions: map[string]agent.Decision{
		"call_1/call_1/call_3": agent.Reject("no"),
	}})
	must(t, err)
	if result.FinalText != "All done." || result.Steps[0].ToolResults[0].Content != "Done below." ||
		result.CreditsUsed != "1.500000" || tools.ran() != "call_2 call_2 call_1" || inner.count() != 2 {
		t.Fatalf("%+v, ran %s", result, tools.ran())
	}
}

func TestWhatASubAgentCannotDoIsToldToItsParent(t *testing.T) {
	refused := agent.New(agent.AgentOptions{
		Model: scripted(calls("wipe", "{}")), Tools: []agent.AgentTool{agent.RequireApproval(textTool("wipe", "wiped"))},
	})
	endless := agent.New(agent.AgentOptions{Model: scripted(calls("again", "{}")), Tools: []agent.AgentTool{textTool("again", "x")}})
	broken := agent.New(agent.AgentOptions{})
	outer := scripted(calls("refused", `{"input":"x"}`, "endless", `{"input":"x"}`, "broken", `{"input":"x"}`, "broken", `{"input":" "}`), says("Done."))
	result, err := agent.New(agent.AgentOptions{Model: outer, Tools: []agent.AgentTool{
		refused.AsTool("refused", ""), endless.AsTool("endless", ""), broken.AsTool("broken", ""),
	}}).Run(context.Background(), "Go.")
	must(t, err)
	alone := refused.AsTool("refused", "")
	if _, err := alone.Execute(context.Background(), map[string]any{"input": "x"}, agent.ToolExecutionContext{}); err == nil {
		t.Error("an approval was lost")
	}
	for i, want := range []string{"waits for an approval of \"wipe\", which needs an agent with a store", "stopped by step_count:8", "provider is required", "missing required argument"} {
		if told := result.Steps[0].ToolResults[i]; !told.IsError || !strings.Contains(told.Content, want) {
			t.Errorf("%+v", told)
		}
	}
}

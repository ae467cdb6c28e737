package agent

import (
	"context"
	"fmt"

	"joytoken.example/sdk-go/tooldef"
)

// PendingCall is a tool call that waits for a decision.
type PendingCall struct {
	ToolCallID string `json:"tool_call_id"`
	ToolName   string `json:"tool_name"`
	// Input is the parsed arguments.
	Input any `json:"input"`
}

// Decision is what somebody decided of a pending call: see Approve and Reject.
type Decision struct {
	Approved bool
	// Reason is told to the model where the call is rejected; empty: "not approved".
	Reason string
}

// Approve lets a pending call be executed.
func Approve() Decision { return Decision{Approved: true} }

// Reject has the model told that the call was rejected, and why.
func Reject(reason string) Decision { return Decision{Reason: reason} }

// RequireApproval is the tool with every call waiting for a decision. A tool that asks only for some inputs has a
// RequiresApproval of its own.
func RequireApproval(tool AgentTool) AgentTool {
	tool.RequiresApproval = tooldef.AlwaysApprove
	return tool
}

// ResumeOptions is what a resumed run takes. What was given as AgentRunOptions.Metadata has to be given again, for a call
// that is made again must be the same.
type ResumeOptions struct {
	// Decisions are by the id of the tool call. Calls without one go on waiting.
	Decisions map[string]Decision
	// MaxSteps bounds the model calls of the whole run; nil: 8.
	MaxSteps *int
	Metadata map[string]any
	// OnEvent is as in AgentRunOptions. A run whose process died goes on streamed where it was streamed, and not where it
	// was not.
	OnEvent func(Event) error
}

// Resume goes on with a run of the agent's store, exactly where it was: a model call whose answer was paid for and not
// saved is asked for again under the same key, and the gateway gives the answer again. Tools whose results were not saved
// are run again. A run that is done gives its result.
func (a *Agent) Resume(ctx context.Context, runID string, options ResumeOptions) (AgentResult, error) {
	if a.options.Store == nil {
		return AgentResult{}, fmt.Errorf("agent: run %q cannot be resumed by its id without AgentOptions.Store", runID)
	}
	state, err := a.options.Store.Load(ctx, runID)
	if err != nil {
		return AgentResult{}, err
	}
	return a.ResumeState(ctx, state, options)
}

// ResumeState goes on with a run from its state, as Resume does. The state itself is not changed.
func (a *Agent) ResumeState(ctx context.Context, state *RunState, options ResumeOptions) (AgentResult, error) {
	if state == nil {
		return AgentResult{}, fmt.Errorf("agent: the state to resume is nil")
	}
	if err := state.check(); err != nil {
		return AgentResult{}, err
	}
	state, err := state.clone()
	if err != nil {
		return AgentResult{}, err
	}
	run, err := a.newRun(ctx, state, options.MaxSteps, options.Metadata, options.OnEvent)
	if err != nil {
		return AgentResult{}, err
	}
	run.decisions = options.Decisions
	if state.Status == StatusDone {
		if run.value, err = run.output.read(state.FinalText); err != nil {
			return run.result(), &OutputError{Text: state.FinalText, Problem: err}
		}
		result := run.result()
		return result, run.tell(Event{Type: EventDone, Result: &result})
	}
	state.Status, state.StoppedBy, state.Pending, state.FinalText = StatusRunning, nil, []PendingCall{}, ""
	return run.loop(ctx)
}

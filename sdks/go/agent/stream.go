package agent

import (
	"context"
	"errors"
	"iter"

	joytoken "joytoken.example/sdk-go"
)

// EventType says what an Event tells.
type EventType string

const (
	// EventText is a piece of the model's text, in Delta.
	EventText EventType = "text"
	// EventToolCall is a call that the model asks for, in ToolCall.
	EventToolCall EventType = "tool_call"
	// EventToolResult is what came of a call, in ToolResult.
	EventToolResult EventType = "tool_result"
	// EventStep is a finished step, in Step.
	EventStep EventType = "step"
	// EventPending is a pause, with the calls that wait for a decision in Pending.
	EventPending EventType = "pending"
	// EventDone is the end of the run, or its pause, with Result.
	EventDone EventType = "done"
)

// Event is something that happens in a run. The fields that its type does not name are empty.
type Event struct {
	Type       EventType
	Delta      string
	ToolCall   *joytoken.ToolCall
	ToolResult *ToolResult
	Step       *AgentStep
	Pending    []PendingCall
	Result     *AgentResult
}

// RunStream is RunWithOptions with the events told to a function.
func (a *Agent) RunStream(
	ctx context.Context, options AgentRunOptions, onEvent func(Event) error,
) (AgentResult, error) {
	options.OnEvent = onEvent
	return a.RunWithOptions(ctx, options)
}

// errLeft is what ends a run whose events nobody reads any more.
var errLeft = errors.New("agent: the events of the run are not read any more")

// Stream yields the events of a run; the last one has the result, and a failure is yielded as the error. Leaving the loop
// ends the run, and a model call that is under way with it.
func (a *Agent) Stream(ctx context.Context, options AgentRunOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		_, err := a.RunStream(ctx, options, func(event Event) error {
			if !yield(event, nil) {
				return errLeft
			}
			return nil
		})
		if err != nil && !errors.Is(err, errLeft) {
			yield(Event{}, err)
		}
	}
}

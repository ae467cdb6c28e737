package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	joytoken "joytoken.example/sdk-go"
)

const (
	// saveTime bounds how long one save of a state may take, also after the run's context has ended.
	saveTime = 30 * time.Second
	// underWayTime bounds how long a run waits for its own call that another process made.
	underWayTime = 5 * time.Minute
	// pauseMin and pauseMax bound the time between two looks at it.
	pauseMin = 100 * time.Millisecond
	pauseMax = 8 * time.Second
)

// run is one run on its way: it reads and changes the state, and nothing else remembers anything.
type run struct {
	agent     *Agent
	state     *RunState
	tools     *toolbox
	output    *outputCheck
	store     RunStore
	metadata  map[string]any
	stopWhen  []StopCondition
	decisions map[string]Decision
	onEvent   func(Event) error

	refusal *joytoken.APIError
	value   any // the structured output
}

// begin saves a run for the first time.
func (r *run) begin(ctx context.Context) error {
	if r.store == nil {
		return nil
	}
	_, err := r.store.Load(ctx, r.state.Run.ID)
	switch {
	case err == nil:
		return fmt.Errorf("agent: run %q is in the store already: resume it, or give the new one another id", r.state.Run.ID)
	case !errors.Is(err, ErrRunNotFound):
		return err
	}
	return r.save(ctx)
}

// loop takes one step after the other, until there is a result. Each step begins with what the state says, so that it
// does not matter which process made it.
func (r *run) loop(ctx context.Context) (AgentResult, error) {
	for {
		over, err := r.next(ctx)
		if err != nil {
			return r.result(), err
		}
		if over {
			result := r.result()
			return result, r.tell(Event{Type: EventDone, Result: &result})
		}
	}
}

// next does what comes next, and says whether the run is over or waits.
func (r *run) next(ctx context.Context) (over bool, err error) {
	if ctx.Err() != nil {
		return false, r.ended(ctx)
	}
	if len(r.state.openCalls()) > 0 {
		return r.useTools(ctx)
	}
	if r.state.answered() {
		return r.finish(ctx)
	}
	if reason := decide(r.stopWhen, r.agentState()); reason != "" {
		return true, r.end(ctx, StatusStopped, reason)
	}
	return r.ask(ctx)
}

func (r *run) agentState() AgentState {
	return AgentState{
		Step: r.state.Step, ToolCalls: r.state.ToolCalls, Usage: r.state.Usage,
		Messages: slices.Clip(r.state.Messages), CreditsUsed: r.state.CreditsUsed,
	}
}

// ask makes a model call and keeps the answer.
func (r *run) ask(ctx context.Context) (over bool, err error) {
	r.decisions = nil
	answer, err := r.completeDurably(ctx, r.request())
	if refusal := refusalOf(err); refusal != nil {
		r.refusal = refusal
		return true, r.end(ctx, StatusStopped, reasonOf(refusal))
	}
	if err != nil {
		return false, err
	}
	if answer.Message, err = asRead(answer.Message); err != nil {
		return false, err
	}
	step := AgentStep{
		Index: r.state.Step + 1, AssistantMessage: answer.Message, ToolResults: []ToolResult{}, Usage: answer.Usage,
		RequestID: joytoken.RequestIDFromMetadata(answer.Metadata), Metadata: answer.Metadata,
	}
	r.state.Step++
	r.state.Messages = append(r.state.Messages, answer.Message)
	r.state.Steps = append(r.state.Steps, step)
	r.state.Usage.add(answer.Usage)
	if metadata := step.CallMetadata(); metadata != nil {
		r.state.CreditsUsed = addCredits(r.state.CreditsUsed, metadata.Billing.CreditsUsed)
	}
	if len(answer.Message.ToolCalls) == 0 {
		if err := r.tell(Event{Type: EventStep, Step: &step}); err != nil {
			return false, errors.Join(err, r.save(ctx))
		}
		return r.finish(ctx)
	}
	if err := r.save(ctx); err != nil {
		return false, err
	}
	for _, call := range answer.Message.ToolCalls {
		if err := r.tell(Event{Type: EventToolCall, ToolCall: &call}); err != nil {
			return false, err
		}
	}
	return false, nil
}

// request is the next model call. It follows from the state and the options alone, to the byte, so that the gateway
// knows a repetition for what it is.
func (r *run) request() ModelRequest {
	options, identity, number := r.agent.options, r.state.Run, r.state.Step+1
	request := ModelRequest{
		Messages: slices.Clip(r.state.Messages), Tools: r.tools.declared, Temperature: options.Temperature,
		MaxTokens: options.MaxTokens, Tier: options.Tier, Metadata: r.metadata, ResponseFormat: r.output.responseFormat(),
		IdempotencyKey: identity.ID + ":" + strconv.Itoa(number),
		Durable:        r.store != nil,
		Run: &joytoken.Run{
			ID: identity.ID, ParentID: textOf(identity.ParentID), Workflow: textOf(identity.Workflow),
			Budget: textOf(identity.Budget), Step: strconv.Itoa(number),
		},
	}
	if len(r.tools.declared) > 0 {
		request.ToolChoice = options.ToolChoice
		if number > 1 {
			request.ToolChoice = relaxed(options.ToolChoice)
		}
	}
	return request
}

// relaxed is a tool choice after the first answer: a forced one would force tools again and again.
func relaxed(choice any) any {
	if choice == nil || choice == "none" {
		return choice
	}
	return "auto"
}

// completeDurably waits where the gateway is still finishing this very call, which another process made before it died.
func (r *run) completeDurably(ctx context.Context, request ModelRequest) (ModelResponse, error) {
	for waited := time.Duration(0); ; {
		answer, err := r.complete(ctx, request)
		pause, underWay := underWayElsewhere(err)
		if !underWay || !request.Durable || waited+pause > underWayTime {
			return answer, err
		}
		waited += pause
		select {
		case <-ctx.Done():
			return ModelResponse{}, r.ended(ctx)
		case <-time.After(pause):
		}
	}
}

// underWayElsewhere says whether a call was refused because its first attempt is under way, and how long to wait for it.
func underWayElsewhere(err error) (pause time.Duration, underWay bool) {
	var conflict *joytoken.APIError
	if !errors.As(err, &conflict) || conflict.Reason != "idempotency_in_progress" {
		return 0, false
	}
	seconds, err := strconv.Atoi(conflict.ResponseHeaders.Get("Retry-After"))
	if err != nil || seconds < 0 {
		seconds = 1
	}
	return min(max(time.Duration(seconds)*time.Second, pauseMin), pauseMax), true
}

func (r *run) complete(ctx context.Context, request ModelRequest) (ModelResponse, error) {
	provider := r.agent.options.Model
	if r.onEvent == nil {
		return provider.Complete(ctx, request)
	}
	streaming, ok := provider.(StreamingProvider)
	if !ok {
		answer, err := provider.Complete(ctx, request)
		if text := contentText(answer.Message.Content); err == nil && text != "" {
			err = r.tell(Event{Type: EventText, Delta: text})
		}
		return answer, err
	}
	// Where an event is refused the call is ended at once.
	callCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	var refused error
	answer, err := streaming.Stream(callCtx, request, func(delta string) {
		if refused == nil && delta != "" {
			if refused = r.tell(Event{Type: EventText, Delta: delta}); refused != nil {
				cancel()
			}
		}
	})
	if refused != nil {
		return ModelResponse{}, refused
	}
	return answer, err
}

// refusalOf is an error by which the gateway refuses a run for money or policy; nil for every other error.
func refusalOf(err error) *joytoken.APIError {
	var refusal *joytoken.APIError
	if !errors.As(err, &refusal) || refusal.Type == "invalid_api_key" || refusal.Reason == "invalid_api_key" {
		return nil
	}
	if refusal.StatusCode != http.StatusPaymentRequired && refusal.StatusCode != http.StatusForbidden {
		return nil
	}
	return refusal
}

func reasonOf(refusal *joytoken.APIError) string {
	kind := refusal.Type
	if kind == "" {
		kind = string(refusal.Code)
	}
	if refusal.Reason == "" {
		return kind
	}
	return kind + ":" + refusal.Reason
}

// finish takes the last answer for the final one, or asks once more where it is not of the shape that was asked for.
func (r *run) finish(ctx context.Context) (over bool, err error) {
	text := r.state.lastText()
	value, problem := r.output.read(text)
	switch {
	case problem == nil:
		r.value = value
		r.state.FinalText = text
		return true, r.end(ctx, StatusDone, "")
	case r.repaired():
		if err := r.end(ctx, StatusStopped, StoppedByInvalidOutput); err != nil {
			return false, err
		}
		return false, &OutputError{Text: text, Problem: problem}
	}
	r.state.Messages = append(r.state.Messages, joytoken.ChatMessage{Role: "user", Content: repairText(problem)})
	return false, r.save(ctx)
}

// repaired says whether the model was asked once more already: then it has given more than one answer without calls.
func (r *run) repaired() bool {
	answers := 0
	for _, step := range r.state.Steps {
		if len(step.AssistantMessage.ToolCalls) == 0 {
			answers++
		}
	}
	return answers > 1
}

// end saves how the run ended.
func (r *run) end(ctx context.Context, status RunStatus, reason string) error {
	r.state.Status, r.state.StoppedBy, r.state.Pending = status, textOrNil(reason), []PendingCall{}
	if status == StatusStopped {
		r.state.FinalText = r.state.lastText()
	}
	return r.save(ctx)
}

// save keeps the state, also where the context has just ended: what was paid for is not to be lost.
func (r *run) save(ctx context.Context) error {
	if r.store == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	if err := r.store.Save(ctx, r.state); err != nil {
		return fmt.Errorf("agent: run %q could not be saved: %w", r.state.Run.ID, err)
	}
	return nil
}

func (r *run) ended(ctx context.Context) error {
	return fmt.Errorf("agent: run %q was ended: %w", r.state.Run.ID, ctx.Err())
}

func (r *run) tell(event Event) error {
	if r.onEvent == nil {
		return nil
	}
	return r.onEvent(event)
}

func (r *run) result() AgentResult {
	state := r.state
	result := AgentResult{
		FinalText: state.FinalText, Messages: state.Messages, Steps: state.Steps, Usage: state.Usage,
		StoppedBy: textOf(state.StoppedBy), Status: state.Status, RunID: state.Run.ID, CreditsUsed: state.CreditsUsed,
		Refusal: r.refusal, Pending: state.Pending, Output: r.value, State: state,
	}
	for _, step := range state.Steps {
		if step.RequestID != "" {
			result.RequestIDs = append(result.RequestIDs, step.RequestID)
		}
	}
	return result
}

package agent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
)

// scope is what a tool call knows of the run that it belongs to, so that an agent within it is a child of that run.
type scope struct {
	run    RunIdentity
	store  RunStore
	callID string // unique within the run
	// decisions are those on calls of the child run.
	decisions map[string]Decision

	mu      sync.Mutex
	usage   UsageSummary
	credits string
}

// add counts what a child run has cost.
func (s *scope) add(result AgentResult) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.usage.addSummary(result.Usage)
	s.credits = addCredits(firstText(s.credits, "0"), result.CreditsUsed)
}

func (s *scope) cost() (UsageSummary, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usage, s.credits
}

type (
	scopeKey     struct{}
	executionKey struct{}
)

func withScope(ctx context.Context, scope *scope) context.Context {
	return context.WithValue(ctx, scopeKey{}, scope)
}

// scopeOf is nil outside of a tool call.
func scopeOf(ctx context.Context) *scope {
	scope, _ := ctx.Value(scopeKey{}).(*scope)
	return scope
}

func withExecution(ctx context.Context, execution ToolExecutionContext) context.Context {
	return context.WithValue(ctx, executionKey{}, execution)
}

// ExecutionOf is the tool call that a context belongs to, for functions that get no ToolExecutionContext, such as those of
// ToolFor.
func ExecutionOf(ctx context.Context) (ToolExecutionContext, bool) {
	execution, ok := ctx.Value(executionKey{}).(ToolExecutionContext)
	return execution, ok
}

// AsTool is a tool that hands a piece of work over to this agent and returns its final text. Its run is a child of the
// calling run: it drains that one's budget, is kept in its store, and counts in its usage and credits. Where its tools
// need an approval the calling run waits, too, if there is a store: the id of such a pending call is that of the calling
// run's tool call, a slash, and that of the child's.
func (a *Agent) AsTool(name, description string) AgentTool {
	return AgentTool{
		Name:        name,
		Description: description,
		Parameters: map[string]any{
			"type":       "object",
			"properties": map[string]any{"input": map[string]any{"type": "string", "description": "The task, in full."}},
			"required":   []string{"input"},
		},
		Execute: func(ctx context.Context, input any, _ ToolExecutionContext) (any, error) {
			fields, _ := input.(map[string]any)
			task, _ := fields["input"].(string)
			if strings.TrimSpace(task) == "" {
				return nil, errors.New(`missing required argument "input"`)
			}
			return a.runChild(ctx, name, task)
		},
	}
}

// runChild begins the child run of a tool call, or goes on with it where another process began it.
func (a *Agent) runChild(ctx context.Context, name, task string) (string, error) {
	parent := scopeOf(ctx)
	var result AgentResult
	var err error
	if parent == nil { // in a loop of the client
		result, err = a.Run(ctx, task)
	} else {
		result, err = a.beginOrResume(ctx, parent.run.child(parent.callID), parent, task)
		parent.add(result)
	}
	switch {
	case err != nil:
		return "", fmt.Errorf("agent %s: %w", name, err)
	case result.Status == StatusPending && (parent == nil || a.storeWithin(parent) == nil):
		return "", fmt.Errorf("agent %s: it waits for an approval of %q, which needs an agent with a store above it",
			name, result.Pending[0].ToolName)
	case result.Status == StatusPending:
		return "", &childWaits{result.Pending}
	case result.FinalText == "" && result.StoppedBy != "":
		return "", fmt.Errorf("agent %s: stopped by %s", name, result.StoppedBy)
	}
	return result.FinalText, nil
}

// childWaits is a child run that is pending.
type childWaits struct{ pending []PendingCall }

func (w *childWaits) Error() string { return "the sub-agent waits for an approval" }

// waitingBelow is what a child run waits for, as its parent's pending calls; nil where an error says something else.
func waitingBelow(err error, callID string) []PendingCall {
	var waits *childWaits
	if !errors.As(err, &waits) {
		return nil
	}
	pending := make([]PendingCall, 0, len(waits.pending))
	for _, call := range waits.pending {
		call.ToolCallID = callID + "/" + call.ToolCallID
		pending = append(pending, call)
	}
	return pending
}

// decisionsBelow are the decisions on calls of the child run that a tool call began.
func (r *run) decisionsBelow(callID string) map[string]Decision {
	below := map[string]Decision{}
	for id, decision := range r.decisions {
		if inner, found := strings.CutPrefix(id, callID+"/"); found {
			below[inner] = decision
		}
	}
	return below
}

// storeWithin is where this agent's runs are kept when it is a tool.
func (a *Agent) storeWithin(parent *scope) RunStore {
	if a.options.Store != nil {
		return a.options.Store
	}
	return parent.store
}

func (a *Agent) beginOrResume(
	ctx context.Context, identity RunIdentity, parent *scope, task string,
) (AgentResult, error) {
	if store := a.storeWithin(parent); store != nil {
		state, err := store.Load(ctx, identity.ID)
		if err == nil {
			return a.ResumeState(ctx, state, ResumeOptions{Decisions: parent.decisions})
		}
		if !errors.Is(err, ErrRunNotFound) {
			return AgentResult{}, err
		}
	}
	return a.RunWithOptions(ctx, AgentRunOptions{Input: task, Run: &RunOptions{
		ID: identity.ID, ParentID: textOf(identity.ParentID), Workflow: textOf(identity.Workflow),
	}})
}

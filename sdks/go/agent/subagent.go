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
// calling run: it drains that one's budget, is kept in its store, and counts in its usage and credits. It needs tools that
// do without approvals, because nobody could decide on them.
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
	if parent == nil {
		result, err := a.Run(ctx, task)
		return result.FinalText, err
	}
	identity := parent.run.child(parent.callID)
	result, err := a.beginOrResume(ctx, identity, parent.store, task)
	parent.add(result)
	switch {
	case err != nil:
		return "", fmt.Errorf("agent %s: %w", name, err)
	case result.Status == StatusPending:
		return "", fmt.Errorf("agent %s: it waits for an approval of %q, which a sub-agent cannot get",
			name, result.Pending[0].ToolName)
	case result.FinalText == "" && result.StoppedBy != "":
		return "", fmt.Errorf("agent %s: stopped by %s", name, result.StoppedBy)
	}
	return result.FinalText, nil
}

func (a *Agent) beginOrResume(
	ctx context.Context, identity RunIdentity, store RunStore, task string,
) (AgentResult, error) {
	if a.options.Store != nil {
		store = a.options.Store
	}
	if store != nil {
		state, err := store.Load(ctx, identity.ID)
		if err == nil {
			return a.ResumeState(ctx, state, ResumeOptions{})
		}
		if !errors.Is(err, ErrRunNotFound) {
			return AgentResult{}, err
		}
	}
	return a.RunWithOptions(ctx, AgentRunOptions{Input: task, Run: &RunOptions{
		ID: identity.ID, ParentID: textOf(identity.ParentID), Workflow: textOf(identity.Workflow),
	}})
}

package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	joytoken "joytoken.example/sdk-go"
	"joytoken.example/sdk-go/tooldef"
)

type (
	// AgentTool is a tool of an agent.
	AgentTool = joytoken.Tool
	// ToolExecuteFunc is what a tool does.
	ToolExecuteFunc = joytoken.ToolExecuteFunc
	// ToolExecutionContext says in which step of which run a tool is called.
	ToolExecutionContext = joytoken.ToolExecutionContext
)

const (
	// DefaultToolConcurrency is a bound for tools that run at once.
	DefaultToolConcurrency = 4
	// ToolResultBytesMax is how much of a tool's result is told to the model.
	ToolResultBytesMax = 1 << 20
)

// DefineTool returns the tool as it is; it is there for the look of a declaration.
func DefineTool(tool AgentTool) AgentTool { return tool }

// toolbox is the tools of a run, by name.
type toolbox struct {
	declared []joytoken.ChatTool
	byName   map[string]AgentTool
	schemas  map[string]*schema
}

func newToolbox(tools []AgentTool) (*toolbox, error) {
	box := &toolbox{declared: []joytoken.ChatTool{}, byName: map[string]AgentTool{}, schemas: map[string]*schema{}}
	for _, tool := range tools {
		if tool.Name == "" {
			return nil, errors.New("agent: a tool has no name")
		}
		declared := tooldef.ToChatTool(tool)
		compiled, err := compileSchema(declared.Function.Parameters)
		if err != nil {
			return nil, fmt.Errorf("agent: the parameters of tool %q: %w", tool.Name, err)
		}
		if _, there := box.byName[tool.Name]; there {
			at := slices.IndexFunc(box.declared, func(t joytoken.ChatTool) bool { return t.Function.Name == tool.Name })
			box.declared[at] = declared
		} else {
			box.declared = append(box.declared, declared)
		}
		box.byName[tool.Name], box.schemas[tool.Name] = tool, compiled
	}
	return box, nil
}

// toolWork is one call of a turn, and what came of it.
type toolWork struct {
	call    joytoken.ToolCall
	input   any
	scope   *scope
	result  ToolResult
	waiting []PendingCall // what must be decided on before it can be run, or end
	dropped bool          // it has no result: it waits, or the context ended while it ran
}

// useTools runs the calls of the last answer that have no result yet and that nobody has to decide on, and says whether
// the run waits for decisions.
func (r *run) useTools(ctx context.Context) (waits bool, err error) {
	work := r.sortCalls()
	r.decisions = nil // they are of these calls; a later one may have the same id
	err = r.runWork(ctx, work)
	r.orderResults()
	if err != nil {
		return false, errors.Join(err, r.save(ctx))
	}
	step := *r.state.lastStep()
	pending := []PendingCall{}
	for _, one := range work {
		pending = append(pending, one.waiting...)
	}
	if len(pending) == 0 {
		if err := r.save(ctx); err != nil {
			return false, err
		}
		return false, r.tell(Event{Type: EventStep, Step: &step})
	}
	r.state.Status, r.state.Pending, r.state.StoppedBy = StatusPending, pending, textOrNil(StoppedByApproval)
	r.state.FinalText = r.state.lastText()
	if err := r.save(ctx); err != nil {
		return false, err
	}
	return true, r.tell(Event{Type: EventPending, Pending: pending})
}

// sortCalls looks through the open calls: some are to be run, some wait for a decision, and some have their result at
// once, because they were decided against or cannot be run.
func (r *run) sortCalls() []*toolWork {
	step := r.state.lastStep()
	var work []*toolWork
	for _, position := range r.state.openCalls() {
		call := step.AssistantMessage.ToolCalls[position]
		one := &toolWork{
			call: call, input: tooldef.ParseToolArguments(call.Function.Arguments),
			result: ToolResult{ToolCallID: call.ID, ToolName: call.Function.Name},
			scope: &scope{
				run: r.state.Run, store: r.store, callID: r.uniqueCallID(position), decisions: r.decisionsBelow(call.ID),
			},
		}
		tool, found := r.tools.byName[call.Function.Name]
		if !found {
			one.fail("Tool not found: " + call.Function.Name)
		} else if err := r.tools.schemas[tool.Name].check(one.input); err != nil {
			one.fail("Tool error: invalid arguments: " + err.Error())
		} else if needsApproval(tool, one.input) {
			decision, decided := r.decisions[call.ID]
			if !decided {
				one.waiting = []PendingCall{{ToolCallID: call.ID, ToolName: tool.Name, Input: one.input}}
			} else if !decision.Approved {
				one.fail("Tool call rejected: " + firstText(decision.Reason, "not approved"))
			}
		}
		work = append(work, one)
	}
	return work
}

// uniqueCallID is the call's id, with a number where an earlier call of the run had the same one.
func (r *run) uniqueCallID(position int) string {
	step := r.state.lastStep()
	id, same := step.AssistantMessage.ToolCalls[position].ID, 1
	for i, earlier := range r.state.Steps {
		calls := earlier.AssistantMessage.ToolCalls
		if i == len(r.state.Steps)-1 {
			calls = calls[:position]
		}
		for _, call := range calls {
			if call.ID == id {
				same++
			}
		}
	}
	if same == 1 {
		return id
	}
	return fmt.Sprintf("%s-%d", id, same)
}

// needsApproval asks the tool; one that panics over it waits for a decision.
func needsApproval(tool AgentTool, input any) (needed bool) {
	if tool.RequiresApproval == nil {
		return false
	}
	defer func() {
		if recover() != nil {
			needed = true
		}
	}()
	return tool.RequiresApproval(input)
}

func (w *toolWork) fail(content string) { w.result.Content, w.result.IsError = content, true }

// runWork runs calls, as many at once as the agent allows, and takes their results as they come. It returns when all of
// them have ended. An error is the end of the context, or of the events.
func (r *run) runWork(ctx context.Context, work []*toolWork) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	messages := slices.Clip(r.state.Messages)
	slots := make(chan struct{}, r.agent.options.concurrency())
	results := make(chan *toolWork)
	go func() {
		var running sync.WaitGroup
		for _, one := range work {
			slots <- struct{}{}
			running.Add(1)
			go func() {
				defer func() { <-slots; results <- one; running.Done() }()
				r.execute(ctx, one, messages)
			}()
		}
		running.Wait()
		close(results)
	}()
	var refused error
	for one := range results {
		if one.dropped || refused != nil {
			continue
		}
		if refused = r.tell(Event{Type: EventToolResult, ToolResult: &one.result}); refused != nil {
			cancel()
		}
	}
	for _, one := range work {
		if !one.dropped {
			r.keep(one)
		}
	}
	if refused == nil && ctx.Err() != nil {
		return r.ended(ctx)
	}
	return refused
}

func (o AgentOptions) concurrency() int {
	switch {
	case o.ToolConcurrency > 0:
		return o.ToolConcurrency
	case o.ParallelToolCalls:
		return DefaultToolConcurrency
	}
	return 1
}

// execute runs one call, if it has no result yet.
func (r *run) execute(ctx context.Context, one *toolWork, messages []joytoken.ChatMessage) {
	if one.result.Content != "" {
		return
	}
	if ctx.Err() != nil || len(one.waiting) > 0 {
		one.dropped = true
		return
	}
	one.fail("Tool error: the tool ended its goroutine") // replaced where it did not
	tool := r.tools.byName[one.call.Function.Name]
	execution := ToolExecutionContext{
		Step: r.state.Step, ToolCall: one.call, Messages: messages, RunID: r.state.Run.ID,
	}
	ctx = withExecution(withScope(ctx, one.scope), execution)
	result, err := tooldef.SafeExecute(ctx, tool, one.input, execution)
	content := ""
	if err == nil {
		content, err = tooldef.StringifyToolResult(result)
	}
	one.waiting = waitingBelow(err, one.call.ID)
	one.dropped = ctx.Err() != nil || len(one.waiting) > 0
	if err != nil {
		one.fail(bounded("Tool error: " + err.Error()))
		return
	}
	one.result.Content, one.result.IsError = bounded(content), false
}

// keep takes a result into the state, with what a sub-agent has cost.
func (r *run) keep(one *toolWork) {
	step := r.state.lastStep()
	step.ToolResults = append(step.ToolResults, one.result)
	r.state.ToolCalls++
	usage, credits := one.scope.cost()
	r.state.Usage.addSummary(usage)
	if credits != "" {
		r.state.CreditsUsed = addCredits(r.state.CreditsUsed, credits)
	}
}

// orderResults puts the results of the last answer into the order of its calls, and their messages after it.
func (r *run) orderResults() {
	step := r.state.lastStep()
	left := slices.Clone(step.ToolResults)
	ordered := make([]ToolResult, 0, len(left))
	for _, call := range step.AssistantMessage.ToolCalls {
		at := slices.IndexFunc(left, func(result ToolResult) bool { return result.ToolCallID == call.ID })
		if at >= 0 {
			ordered = append(ordered, left[at])
			left = slices.Delete(left, at, at+1)
		}
	}
	step.ToolResults = ordered
	end := len(r.state.Messages)
	for end > 0 && r.state.Messages[end-1].Role == "tool" {
		end--
	}
	r.state.Messages = slices.Clip(r.state.Messages[:end])
	for _, result := range ordered {
		r.state.Messages = append(r.state.Messages, joytoken.ChatMessage{
			Role: "tool", ToolCallID: result.ToolCallID, Content: result.Content,
		})
	}
}

// bounded cuts what is too long to be told, between two characters.
func bounded(content string) string {
	if len(content) <= ToolResultBytesMax {
		return content
	}
	cut := ToolResultBytesMax
	for cut > 0 && !utf8.RuneStart(content[cut]) {
		cut--
	}
	return content[:cut] + fmt.Sprintf("\n[cut: the result has %d bytes, and %d are told]", len(content), cut)
}

func firstText(texts ...string) string {
	for _, text := range texts {
		if strings.TrimSpace(text) != "" {
			return text
		}
	}
	return ""
}

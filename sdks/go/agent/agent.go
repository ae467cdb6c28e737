package agent

import (
	"context"
	"errors"
	"maps"

	joytoken "joytoken.example/sdk-go"
)

// defaultMaxSteps is how many model calls a run makes where AgentRunOptions say nothing else.
const defaultMaxSteps = 8

// AgentOptions is what an agent is made with. Only Model is needed.
type AgentOptions struct {
	Model ModelProvider
	// System is the first message of every run; empty: none.
	System string
	// Tools are what the model can have called. Of two with one name the last is there.
	Tools []AgentTool
	// StopWhen is asked before each model call, in order, and before the bound of steps.
	StopWhen    []StopCondition
	Temperature *float64
	// MaxTokens bounds the output of one model call.
	MaxTokens *int
	Tier      string
	// Metadata is sent with every model call; a run's own goes over it.
	Metadata map[string]any

	// ToolChoice is sent with the first model call of a run; a choice that forces a tool is "auto" from then on.
	ToolChoice any
	// ParallelToolCalls lets tools of one turn run at once; else they run one after the other. Results keep the order of the
	// calls.
	ParallelToolCalls bool
	// ToolConcurrency is how many run at once; 0: DefaultToolConcurrency with ParallelToolCalls, else 1.
	ToolConcurrency int
	// Output asks for a final answer of a JSON Schema: see OutputFor.
	Output *OutputFormat
	// Store keeps the state of every run, so that another process can resume it; nil: nothing is kept.
	Store RunStore
}

// AgentRunOptions is what a run takes.
type AgentRunOptions struct {
	// Messages is the conversation so far, after the system message and before Input.
	Messages []joytoken.ChatMessage
	// Input is a user message; empty: none.
	Input string
	// MaxSteps is how many model calls are made at most; nil: 8.
	MaxSteps *int
	// Metadata is sent with every model call, over the agent's.
	Metadata map[string]any

	// Run names the run; nil, or without an ID: a random one.
	Run *RunOptions
	// OnEvent hears what happens as it happens, and has the model's answers streamed; an error of it ends the run. It is
	// called by one goroutine at a time.
	OnEvent func(Event) error
}

// Agent is a model loop with tools. Make one with New; it is safe for concurrent use where its tools, provider and store
// are.
type Agent struct{ options AgentOptions }

// New makes an agent. What is missing or wrong is an error of the run.
func New(options AgentOptions) *Agent { return &Agent{options: options} }

// Run asks with one user message.
func (a *Agent) Run(ctx context.Context, input string) (AgentResult, error) {
	return a.RunWithOptions(ctx, AgentRunOptions{Input: input})
}

// RunWithOptions runs until the model answers without calling a tool, a condition stops it, the gateway refuses it for
// money or policy (see AgentResult.Refusal), or a tool needs an approval (see AgentResult.Pending). With an error, the
// result is what was done until then.
func (a *Agent) RunWithOptions(ctx context.Context, options AgentRunOptions) (AgentResult, error) {
	identity, err := options.Run.identity()
	if err != nil {
		return AgentResult{}, err
	}
	state := newRunState(identity)
	if a.options.System != "" {
		state.Messages = append(state.Messages, joytoken.ChatMessage{Role: "system", Content: a.options.System})
	}
	state.Messages = append(state.Messages, options.Messages...)
	if options.Input != "" {
		state.Messages = append(state.Messages, joytoken.ChatMessage{Role: "user", Content: options.Input})
	}
	// What is sent is what a resumed run would send: JSON that was read.
	if state, err = state.clone(); err != nil {
		return AgentResult{}, err
	}
	run, err := a.newRun(ctx, state, options.MaxSteps, options.Metadata, options.OnEvent)
	if err != nil {
		return AgentResult{}, err
	}
	if err := run.begin(ctx); err != nil {
		return run.result(), err
	}
	return run.loop(ctx)
}

var errNoModel = errors.New("agent model provider is required")

// newRun is a run of this agent on a state, which it changes.
func (a *Agent) newRun(
	ctx context.Context, state *RunState, maxSteps *int, metadata map[string]any, onEvent func(Event) error,
) (*run, error) {
	if a.options.Model == nil {
		return nil, errNoModel
	}
	bound := defaultMaxSteps
	if maxSteps != nil {
		bound = *maxSteps
	}
	tools, err := newToolbox(a.options.Tools)
	if err != nil {
		return nil, err
	}
	output, err := newOutputCheck(a.options.Output)
	if err != nil {
		return nil, err
	}
	r := &run{
		agent: a, state: state, tools: tools, output: output, onEvent: onEvent,
		store:    a.options.Store,
		stopWhen: append(append([]StopCondition{}, a.options.StopWhen...), StepCountIs(bound)),
	}
	if parent := scopeOf(ctx); parent != nil {
		r.store = a.storeWithin(parent)
	}
	if len(a.options.Metadata)+len(metadata) > 0 {
		r.metadata = maps.Clone(a.options.Metadata)
		if r.metadata == nil {
			r.metadata = map[string]any{}
		}
		maps.Copy(r.metadata, metadata)
	}
	return r, nil
}

// Int is a pointer to a number, for options.
func Int(value int) *int { return &value }

// Float64 is a pointer to a number, for options.
func Float64(value float64) *float64 { return &value }

package agent_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	joytoken "joytoken.example/sdk-go"
	"joytoken.example/sdk-go/agent"
)

func TestARunAsksUntilTheModelCallsNoTool(t *testing.T) {
	model := scripted(calls("weather", `{"city":"Paris"}`), says("It is sunny."))
	var input any
	var execution agent.ToolExecutionContext
	weather := agent.DefineTool(agent.AgentTool{
		Name: "weather", Description: "The weather",
		Execute: func(_ context.Context, given any, context agent.ToolExecutionContext) (any, error) {
			input, execution = given, context
			return map[string]any{"sky": "clear"}, nil
		},
	})
	assistant := agent.New(agent.AgentOptions{
		Model: model, System: "Be brief.", Tools: []agent.AgentTool{weather}, Temperature: agent.Float64(0),
		MaxTokens: agent.Int(48), Tier: "standard", Metadata: map[string]any{"a": 1, "b": 1},
	})
	result, err := assistant.RunWithOptions(context.Background(), agent.AgentRunOptions{
		Messages: []joytoken.ChatMessage{{Role: "user", Content: "Hello."}}, Input: "The weather?",
		Metadata: map[string]any{"b": 2},
	})
	must(t, err)
	if result.FinalText != "It is sunny." || result.StoppedBy != "" || result.Status != agent.StatusDone {
		t.Fatalf("%+v", result)
	}
	roles := []string{}
	for _, message := range result.Messages {
		roles = append(roles, message.Role)
	}
	if !slices.Equal(roles, []string{"system", "user", "user", "assistant", "tool", "assistant"}) {
		t.Fatal(roles)
	}
	if told := result.Messages[4]; told.Content != `{"sky":"clear"}` || told.ToolCallID != "call_1" || told.Name != "" {
		t.Fatalf("%+v", told)
	}
	if input.(map[string]any)["city"] != "Paris" || execution.Step != 1 || execution.ToolCall.ID != "call_1" ||
		execution.RunID != result.RunID || len(execution.Messages) != 4 {
		t.Fatal(input, execution)
	}
	first, second := model.requests[0], model.requests[1]
	if *first.Temperature != 0 || *first.MaxTokens != 48 || first.Tier != "standard" || first.Metadata["a"] != 1 ||
		first.Metadata["b"] != 2 || first.Tools[0].Function.Name != "weather" || len(first.Messages) != 3 {
		t.Fatalf("%+v", first)
	}
	if len(second.Messages) != 5 || len(result.Steps) != 2 || result.Steps[1].Index != 2 {
		t.Fatalf("%+v", second)
	}
}

func TestWithoutAModelNothingIsRun(t *testing.T) {
	_, err := agent.New(agent.AgentOptions{}).Run(context.Background(), "Hello!")
	if err == nil || err.Error() != "agent model provider is required" {
		t.Fatal(err)
	}
	_, err = agent.New(agent.AgentOptions{Model: &agent.JoyTokenProvider{}}).Run(context.Background(), "Hello!")
	if err == nil || err.Error() != "joytoken provider client is required" {
		t.Fatal(err)
	}
}

func TestToolsAreAlwaysAListThatIsGiven(t *testing.T) {
	gateway := newFakeGateway(t, gatewayAnswer{body: `{"choices":[{"message":{"role":"assistant","content":"Hi."}}]}`})
	for _, protocol := range []agent.Protocol{agent.OpenAIProtocol, agent.AnthropicProtocol} {
		model := agent.NewJoyTokenProvider(gateway.client(), agent.WithProtocol(protocol))
		result, err := agent.New(agent.AgentOptions{Model: model}).Run(context.Background(), "Hello!")
		must(t, err)
		if result.FinalText != "Hi." {
			t.Fatalf("%+v", result)
		}
	}
	for _, call := range gateway.seen() {
		if tools, isList := call.body["tools"].([]any); !isList || len(tools) != 0 {
			t.Fatal(call.raw)
		}
	}
}

func TestWhatGoesWrongInAToolIsToldToTheModel(t *testing.T) {
	type place struct {
		City string `json:"city"`
	}
	tools := []agent.AgentTool{
		textTool("fine", "ok"),
		{Name: "fails", Execute: func(context.Context, any, agent.ToolExecutionContext) (any, error) {
			return nil, errors.New("no luck")
		}},
		{Name: "panics", Execute: func(context.Context, any, agent.ToolExecutionContext) (any, error) { panic("oh") }},
		{Name: "lazy"},
		{Name: "unspeakable", Execute: func(context.Context, any, agent.ToolExecutionContext) (any, error) {
			return func() {}, nil
		}},
		{Name: "long", Execute: func(context.Context, any, agent.ToolExecutionContext) (any, error) {
			return strings.Repeat("ü", agent.ToolResultBytesMax), nil
		}},
		agent.ToolFor("typed", "", func(context.Context, place) (any, error) { return "never", nil }),
	}
	table := []struct {
		name, arguments, want string
		isError               bool
	}{
		{"fine", "", "ok", false},
		{"missing", "{}", "Tool not found: missing", true},
		{"fails", "{}", "Tool error: no luck", true},
		{"panics", "{}", "Tool error: tool panicked: oh", true},
		{"lazy", "{}", `Tool error: tool "lazy" has no Execute function`, true},
		{"unspeakable", "{}", "Tool error: tool result is no JSON", true},
		{"typed", "{}", `Tool error: invalid arguments: property "city" is missing`, true},
		{"typed", `{"city":7}`, "Tool error: invalid arguments: at .city: it must be of type string", true},
		{"typed", `{"city":`, `Tool error: invalid arguments: property "city" is missing`, true},
		{"long", "{}", "ü", false},
	}
	var asked []string
	for _, row := range table {
		asked = append(asked, row.name, row.arguments)
	}
	model := scripted(calls(asked...), says("Done."))
	result, err := agent.New(agent.AgentOptions{Model: model, Tools: tools}).Run(context.Background(), "Go.")
	must(t, err)
	for i, row := range table {
		got := result.Steps[0].ToolResults[i]
		if !strings.HasPrefix(got.Content, row.want) || got.IsError != row.isError || got.ToolName != row.name {
			t.Errorf("%s %s: %.200q", row.name, row.arguments, got.Content)
		}
		if len(got.Content) > agent.ToolResultBytesMax+100 || strings.ToValidUTF8(got.Content, "") != got.Content {
			t.Errorf("%s: %d bytes", row.name, len(got.Content))
		}
	}
	if result.FinalText != "Done." {
		t.Fatal(result.FinalText)
	}
}

// Check 93: 8 steps by default, the reasons of the conditions, and totals that add up.
func TestCheck93DefaultStepsAndStopConditions(t *testing.T) {
	endless := calls("again", "{}")
	endless.Usage = &joytoken.Usage{PromptTokens: 2, CompletionTokens: 3, TotalTokens: 5, Cost: agent.Float64(0.25)}
	endless.Metadata = map[string]any{"billing": map[string]any{"credits_used": "0.100000001"}}
	table := []struct {
		name     string
		stopWhen []agent.StopCondition
		maxSteps *int
		want     string
		steps    int
	}{
		{"by default", nil, nil, "step_count:8", 8},
		{"by MaxSteps", nil, agent.Int(3), "step_count:3", 3},
		{"no steps at all", nil, agent.Int(0), "step_count:0", 0},
		{"by StepCountIs", []agent.StopCondition{nil, agent.StepCountIs(2)}, nil, "step_count:2", 2},
		{"by MaxToolCalls", []agent.StopCondition{agent.MaxToolCalls(4)}, nil, "max_tool_calls:4", 4},
		{"by MaxCost", []agent.StopCondition{agent.MaxCost(0.5)}, nil, "max_cost:0.5", 2},
		{"by MaxCredits", []agent.StopCondition{agent.MaxCredits("0.3")}, nil, "max_credits:0.3", 3},
		{"by a reason of its own", []agent.StopCondition{func(state agent.AgentState) agent.StopDecision {
			return agent.StopDecision{Stop: len(state.Messages) > 4, Reason: "enough"}
		}}, nil, "enough", 2},
		{"without a reason", []agent.StopCondition{func(state agent.AgentState) agent.StopDecision {
			return agent.StopDecision{Stop: state.Step == 1}
		}}, nil, "custom", 1},
	}
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			model := scripted(endless)
			assistant := agent.New(agent.AgentOptions{
				Model: model, Tools: []agent.AgentTool{textTool("again", "again")}, StopWhen: row.stopWhen,
			})
			result, err := assistant.RunWithOptions(context.Background(), agent.AgentRunOptions{
				Input: "Go.", MaxSteps: row.maxSteps,
			})
			must(t, err)
			if result.StoppedBy != row.want || len(result.Steps) != row.steps || model.count() != row.steps {
				t.Fatal(result.StoppedBy, len(result.Steps), model.count())
			}
			usage := result.Usage
			if usage.PromptTokens != 2*row.steps || usage.CompletionTokens != 3*row.steps || usage.TotalTokens != 5*row.steps {
				t.Fatalf("%+v", usage)
			}
			if row.steps > 0 && *usage.Cost != 0.25*float64(row.steps) {
				t.Fatal(*usage.Cost)
			}
		})
	}
}

func TestACostThatWasNeverReportedStopsNothing(t *testing.T) {
	result, err := agent.New(agent.AgentOptions{
		Model: scripted(says("Hi.")), StopWhen: []agent.StopCondition{agent.MaxCost(0)},
	}).Run(context.Background(), "Hello!")
	must(t, err)
	if result.FinalText != "Hi." || result.Usage.Cost != nil {
		t.Fatalf("%+v", result)
	}
}

// Check 94: the messages protocol sends max_tokens 1024 by default, and thought signatures come back unchanged.
func TestCheck94ThoughtSignaturesComeBack(t *testing.T) {
	first := `{"choices":[{"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_a","type":"function",` +
		`"function":{"name":"again","arguments":"{\"n\":1}"},"thought_signature":"sig",` +
		`"extra_content":{"google":{"thought_signature":"deep","n":9007199254740993}}}]},"finish_reason":"tool_calls"}],` +
		`"usage":{"prompt_tokens":4,"completion_tokens":2,"total_tokens":6}}`
	last := `{"choices":[{"message":{"role":"assistant","content":"Done."},"finish_reason":"stop"}],` +
		`"usage":{"prompt_tokens":6,"completion_tokens":1,"total_tokens":7}}`
	for _, protocol := range []agent.Protocol{agent.OpenAIProtocol, agent.AnthropicProtocol} {
		t.Run(string(protocol), func(t *testing.T) {
			gateway := newFakeGateway(t, gatewayAnswer{body: first}, gatewayAnswer{body: last})
			assistant := agent.New(agent.AgentOptions{
				Model: agent.NewJoyTokenProvider(gateway.client(), agent.WithProtocol(protocol)), System: "Be brief.",
				Tools: []agent.AgentTool{textTool("again", "ok")},
			})
			result, err := assistant.Run(context.Background(), "Go.")
			must(t, err)
			if result.FinalText != "Done." || result.Usage.TotalTokens != 13 {
				t.Fatalf("%+v", result)
			}
			seen := gateway.seen()
			if protocol == agent.AnthropicProtocol && seen[0].body["max_tokens"] != 1024.0 {
				t.Fatal(seen[0].raw)
			}
			if protocol == agent.OpenAIProtocol && seen[0].body["max_tokens"] != nil {
				t.Fatal(seen[0].raw)
			}
			for _, part := range []string{
				`"thought_signature":"sig"`, `9007199254740993`, `"thought_signature":"deep"`, `"content":"Be brief."`,
			} {
				if !strings.Contains(seen[1].raw, part) {
					t.Errorf("%s is not in %s", part, seen[1].raw)
				}
			}
		})
	}
}

func TestAnAnswerWithoutAMessageIsAnError(t *testing.T) {
	gateway := newFakeGateway(t, gatewayAnswer{body: `{"choices":[]}`})
	model := agent.NewJoyTokenProvider(gateway.client())
	_, err := agent.New(agent.AgentOptions{Model: model}).Run(context.Background(), "Hello!")
	if err == nil || err.Error() != "joytoken did not return a chat completion message" {
		t.Fatal(err)
	}
}

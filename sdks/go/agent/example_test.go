package agent_test

import (
	"context"
	"fmt"

	joytoken "joytoken.example/sdk-go"
	"joytoken.example/sdk-go/agent"
)

// ask is a model for the examples: it calls the first tool, once, and then says what that returned.
type ask struct{}

func (ask) Complete(_ context.Context, request agent.ModelRequest) (agent.ModelResponse, error) {
	last := request.Messages[len(request.Messages)-1]
	message := joytoken.ChatMessage{Role: "assistant", Content: last.Content}
	if last.Role == "user" && len(request.Tools) > 0 {
		message = joytoken.ChatMessage{Role: "assistant", ToolCalls: []joytoken.ToolCall{{
			ID: "call_1", Type: "function",
			Function: joytoken.ToolFunction{Name: request.Tools[0].Function.Name, Arguments: `{"city":"Paris"}`},
		}}}
	}
	return agent.ModelResponse{Message: message}, nil
}

func ExampleAgent_Run() {
	type place struct {
		City string `json:"city" jsonschema:"description=The city"`
	}
	weather := agent.ToolFor("get_weather", "The weather in a city", func(_ context.Context, in place) (any, error) {
		return "It is sunny in " + in.City + ".", nil
	})
	assistant := agent.New(agent.AgentOptions{Model: ask{}, Tools: []agent.AgentTool{weather}})
	result, err := assistant.Run(context.Background(), "What is the weather in Paris?")
	fmt.Println(result.FinalText, err)
	// Output: It is sunny in Paris. <nil>
}

func ExampleAgent_Resume() {
	wipe := agent.RequireApproval(agent.AgentTool{
		Name:    "wipe_disk",
		Execute: func(context.Context, any, agent.ToolExecutionContext) (any, error) { return "It is empty.", nil },
	})
	assistant := agent.New(agent.AgentOptions{Model: ask{}, Tools: []agent.AgentTool{wipe}, Store: agent.NewMemoryStore()})
	ctx := context.Background()
	result, _ := assistant.Run(ctx, "Wipe it.")
	fmt.Println(result.Status, result.Pending[0].ToolName)

	result, _ = assistant.Resume(ctx, result.RunID, agent.ResumeOptions{
		Decisions: map[string]agent.Decision{result.Pending[0].ToolCallID: agent.Approve()},
	})
	fmt.Println(result.Status, result.FinalText)
	// Output:
	// pending wipe_disk
	// done It is empty.
}

func ExampleAgent_Stream() {
	clock := agent.AgentTool{
		Name:    "get_time",
		Execute: func(context.Context, any, agent.ToolExecutionContext) (any, error) { return "It is noon.", nil },
	}
	assistant := agent.New(agent.AgentOptions{Model: ask{}, Tools: []agent.AgentTool{clock}})
	for event, err := range assistant.Stream(context.Background(), agent.AgentRunOptions{Input: "The time?"}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s %q\n", event.Type, event.Delta)
	}
	// Output:
	// tool_call ""
	// tool_result ""
	// step ""
	// text "It is noon."
	// step ""
	// done ""
}

func ExampleOutputAs() {
	type greeting struct {
		Text string `json:"text"`
	}
	says := agent.New(agent.AgentOptions{Model: ask{}, Output: agent.OutputFor[greeting]("greeting")})
	result, _ := says.Run(context.Background(), `{"text": "Hello!"}`)
	value, err := agent.OutputAs[greeting](result)
	fmt.Println(value.Text, err)
	// Output: Hello! <nil>
}

func ExampleSchemaFor() {
	type place struct {
		City string  `json:"city" jsonschema:"description=The city, in English"`
		Zoom *int    `json:"zoom" jsonschema:"minimum=1"`
		Unit string  `json:"unit,omitempty" jsonschema:"enum=km|mi"`
		Area float64 `json:"-"`
	}
	schema, err := agent.SchemaFor[place]()
	fmt.Println(schema["required"], schema["properties"].(map[string]any)["zoom"], err)
	// Output: [city] map[minimum:1 type:[integer null]] <nil>
}

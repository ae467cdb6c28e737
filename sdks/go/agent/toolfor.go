package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"joytoken.example/sdk-go/tooldef"
)

// ToolFor is a tool whose input is a Go struct: its parameters are SchemaFor of it. What does not fit them is told to the
// model, and the function is not called. ExecutionOf tells which call the context belongs to. ToolFor panics where the
// type is no struct or has no schema.
func ToolFor[T any](name, description string, execute func(ctx context.Context, input T) (any, error)) AgentTool {
	kind := reflect.TypeFor[T]()
	if kind.Kind() != reflect.Struct {
		panic(fmt.Sprintf("agent: the input of tool %q is %s, which is no struct", name, kind))
	}
	parameters, err := SchemaFor[T]()
	if err != nil {
		panic(err)
	}
	return AgentTool{
		Name: name, Description: description, Parameters: parameters,
		Execute: func(ctx context.Context, input any, execution ToolExecutionContext) (any, error) {
			data, err := exactInput(input, execution.ToolCall.Function.Arguments)
			if err != nil {
				return nil, err
			}
			var value T
			if err := json.Unmarshal(data, &value); err != nil {
				return nil, fmt.Errorf("invalid arguments: %w", err)
			}
			return execute(withExecution(ctx, execution), value)
		},
	}
}

// exactInput is the arguments as the model wrote them, where they are still the input: then no great number is rounded.
func exactInput(input any, arguments string) ([]byte, error) {
	if arguments != "" && json.Valid([]byte(arguments)) &&
		reflect.DeepEqual(tooldef.ParseToolArguments(arguments), input) {
		return []byte(arguments), nil
	}
	if input == nil {
		input = map[string]any{}
	}
	return json.Marshal(input)
}

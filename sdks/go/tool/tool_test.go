package tool_test

import (
	"context"
	"fmt"

	"joytoken.example/sdk-go/tool"
)

func ExampleDefine() {
	greet := tool.Define(tool.Tool{
		Name: "greet",
		Execute: func(_ context.Context, input any, _ tool.ExecutionContext) (any, error) {
			return map[string]any{"greeting": fmt.Sprintf("Hello, %v!", input.(map[string]any)["name"])}, nil
		},
	})
	input := tool.ParseArguments(`{"name": "Ada"}`)
	result, err := tool.SafeExecute(context.Background(), greet, input, tool.ExecutionContext{})
	if err != nil {
		panic(err)
	}
	content, _ := tool.StringifyResult(result)
	fmt.Println(tool.ToChatTool(greet).Function.Name, content)
	// Output: greet {"greeting":"Hello, Ada!"}
}

func ExampleSafeExecute() {
	_, err := tool.SafeExecute(context.Background(), tool.Tool{
		Name:    "fragile",
		Execute: func(context.Context, any, tool.ExecutionContext) (any, error) { panic("broken") },
	}, nil, tool.ExecutionContext{})
	fmt.Println(err)
	// Output: tool panicked: broken
}

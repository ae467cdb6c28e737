package toolkit_test

import (
	"context"
	"fmt"

	"joytoken.example/sdk-go/agent"
	"joytoken.example/sdk-go/agent/toolkit"
)

func ExampleNew() {
	no := func(context.Context, toolkit.PermissionRequest) (bool, error) { return false, nil }
	tools := toolkit.New(
		toolkit.WithPermission(toolkit.Permission{Mode: toolkit.PermissionAsk, Ask: no}),
		toolkit.WithMiddleware(toolkit.Audit(func(name string, _ any, err error) { fmt.Println(name+":", err) })),
	).Register(toolkit.Calculator()).Tools()
	_, _ = tools[0].Execute(context.Background(), map[string]any{"expression": "6*7"}, agent.ToolExecutionContext{})
	// Output: calculator: tool "calculator" rejected by permission handler
}

func ExampleCalculator() {
	result, err := toolkit.Calculator().Execute(context.Background(), map[string]any{"expression": "6*7"}, agent.ToolExecutionContext{})
	fmt.Println(result, err)
	// Output: map[result:42] <nil>
}

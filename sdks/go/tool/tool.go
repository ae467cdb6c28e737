// Package tool has the few names that are needed to write a tool and to run one, without the client.
package tool

import (
	"context"

	"joytoken.example/sdk-go/tooldef"
)

type (
	// Tool is something that a model can have called.
	Tool = tooldef.Tool
	// ExecuteFunc runs a tool.
	ExecuteFunc = tooldef.ToolExecuteFunc
	// ExecutionContext says in which step of which conversation a tool is called.
	ExecutionContext = tooldef.ToolExecutionContext
)

// Define returns the tool as it is; it is there for the look of a declaration.
func Define(t Tool) Tool { return t }

// ToChatTool declares a tool to a model; missing parameters become an empty object.
func ToChatTool(t Tool) tooldef.ChatTool { return tooldef.ToChatTool(t) }

// ParseArguments turns the arguments of a call into a tool's input: an empty text is an empty object, and a text that is
// no JSON becomes {"raw": text}.
func ParseArguments(arguments string) any { return tooldef.ParseToolArguments(arguments) }

// StringifyResult turns a tool's result into the content of its message: a text as it is, nil as "null", anything else
// as JSON. It fails for values that are no JSON.
func StringifyResult(result any) (string, error) { return tooldef.StringifyToolResult(result) }

// SafeExecute runs a tool; a panic becomes an error.
func SafeExecute(ctx context.Context, t Tool, input any, execution ExecutionContext) (any, error) {
	return tooldef.SafeExecute(ctx, t, input, execution)
}

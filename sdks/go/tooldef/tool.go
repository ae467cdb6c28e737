// Package tooldef has the types of tools and the tools that come with the SDK.
//
// A tool is a name, a JSON Schema of its input, and a function. The local ones are Calculator, DateTime, FileSearch,
// ListDir, FileRead, FileWrite and Shell. The last two change the machine: gate them with GateFileWrite and GateShell
// before a model may call them.
package tooldef

import "context"

// Tool is something that a model can have called.
type Tool struct {
	Name        string
	Description string
	// Parameters is a JSON Schema of type object; nil takes no input.
	Parameters map[string]any
	Execute    ToolExecuteFunc
	// RequiresApproval says whether a call with this input waits for a person's decision; nil: none does. Agents pause
	// for it. The loops of the client cannot, and refuse such a call.
	RequiresApproval func(input any) bool
}

// ToolExecuteFunc runs a tool. Input is the parsed arguments, usually a map[string]any; the result is turned into text
// by StringifyToolResult. An error is told to the model.
type ToolExecuteFunc func(ctx context.Context, input any, execution ToolExecutionContext) (any, error)

// ToolExecutionContext says in which step of which conversation a tool is called.
type ToolExecutionContext struct {
	// Step is the number of the model's answer that asked for the call: 0-based in the loops of the client, 1-based in
	// agents.
	Step     int
	ToolCall ToolCall
	// Messages is the conversation up to and with the assistant message that asked.
	Messages []ChatMessage
	// RunID is the agent's run; empty in the loops of the client. With ToolCall.ID it names the call for good, so that a
	// tool that is called again after a crash can tell.
	RunID string
}

// ExecuteFunc and ExecutionContext are the same types under the names of package tool.
type (
	ExecuteFunc      = ToolExecuteFunc
	ExecutionContext = ToolExecutionContext
)

// DefineTool returns the tool as it is; it is there for the look of a declaration.
func DefineTool(t Tool) Tool { return t }

// AlwaysApprove is a RequiresApproval for tools of which every call waits for a decision.
func AlwaysApprove(any) bool { return true }

// ToChatTool declares a tool to a model; missing parameters become an empty object.
func ToChatTool(t Tool) ChatTool {
	return ChatTool{Type: "function", Function: ChatToolFunction{
		Name: t.Name, Description: t.Description, Parameters: parametersOf(t),
	}}
}

func parametersOf(t Tool) map[string]any {
	if t.Parameters == nil {
		return map[string]any{"type": "object", "properties": map[string]any{}}
	}
	return t.Parameters
}

package joytoken

import "joytoken.example/sdk-go/tooldef"

type (
	// ChatMessage is one message of a chat, as it is on the wire.
	ChatMessage = tooldef.ChatMessage
	// ToolCall is a model's wish to have a tool called.
	ToolCall = tooldef.ToolCall
	// ToolFunction is the function of a call.
	ToolFunction = tooldef.ToolFunction
	// ChatTool declares a tool to a model.
	ChatTool = tooldef.ChatTool
	// ChatToolFunction is what a model is told of a function.
	ChatToolFunction = tooldef.ChatToolFunction
	// Tool is something that a model can have called.
	Tool = tooldef.Tool
	// ToolExecuteFunc runs a tool.
	ToolExecuteFunc = tooldef.ToolExecuteFunc
	// ToolExecutionContext says in which step of which conversation a tool is called.
	ToolExecutionContext = tooldef.ToolExecutionContext
	// FilePermissionRequest asks whether a file may be written.
	FilePermissionRequest = tooldef.FilePermissionRequest
	// FilePermissionFunc decides on it; an error refuses.
	FilePermissionFunc = tooldef.FilePermissionFunc
	// ShellPermissionRequest asks whether a command may be run.
	ShellPermissionRequest = tooldef.ShellPermissionRequest
	// ShellPermissionFunc decides on it; an error refuses.
	ShellPermissionFunc = tooldef.ShellPermissionFunc
)

// DefineTool returns the tool as it is; it is there for the look of a declaration.
func DefineTool(t Tool) Tool { return t }

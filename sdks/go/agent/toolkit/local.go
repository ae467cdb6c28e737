package toolkit

import (
	"joytoken.example/sdk-go/agent"
	"joytoken.example/sdk-go/tooldef"
)

// FileSandbox is the folder that file tools are held to: absolute paths, .. and links that lead out of it are refused.
type FileSandbox = tooldef.FileSandbox

// Calculator is a tool that works out an arithmetic expression.
func Calculator() agent.AgentTool { return tooldef.Calculator() }

// DateTime is a tool that tells the time in a time zone.
func DateTime() agent.AgentTool { return tooldef.DateTime() }

// FileRead is a tool that reads a text file of the sandbox.
func FileRead(sandbox FileSandbox) agent.AgentTool { return tooldef.FileRead(sandbox) }

// FileWrite is a tool that writes a file of the sandbox. Hold it to a Permission: see Workspace.
func FileWrite(sandbox FileSandbox) agent.AgentTool { return tooldef.FileWrite(sandbox) }

// ListDir is a tool that lists a folder of the sandbox.
func ListDir(sandbox FileSandbox) agent.AgentTool { return tooldef.ListDir(sandbox) }

// FileSearch is a tool that finds files of the sandbox by a pattern.
func FileSearch(sandbox FileSandbox) agent.AgentTool { return tooldef.FileSearch(sandbox) }

package joytoken

import (
	"slices"

	"joytoken.example/sdk-go/tooldef"
)

// webSearchTool is the tool that the provider of a response runs itself.
const webSearchTool = "web_search_preview"

// clientTools is what NewClient was told of tools.
type clientTools struct {
	registered      []Tool
	local           bool
	builtin         bool
	excluded        []string
	fileRoot        string
	filePermission  FilePermissionFunc
	shellDir        string
	shellPermission ShellPermissionFunc
}

// toolset is what one call declares, and what of it can be run.
type toolset struct {
	chat     []ChatTool
	response []ResponseTool
	message  []MessageTool
	handlers map[string]Tool
	// auto says that these are the default tools, which Create methods run, too.
	auto bool
}

func (t *clientTools) register(tool Tool) {
	for i := range t.registered {
		if t.registered[i].Name == tool.Name {
			t.registered[i] = tool
			return
		}
	}
	t.registered = append(t.registered, tool)
}

// defaults are the local tools, in the order in which they are declared.
func (t *clientTools) defaults() []Tool {
	if !t.local {
		return nil
	}
	files := tooldef.FileSandbox{Root: t.fileRoot}
	shell := tooldef.ShellSandbox{WorkingDir: t.shellDir}
	tools := []Tool{
		tooldef.Calculator(),
		tooldef.DateTime(),
		tooldef.FileSearch(files),
		tooldef.ListDir(files),
		tooldef.FileRead(files),
		tooldef.GateFileWrite(tooldef.FileWrite(files), files.Root, t.filePermission),
		tooldef.GateShell(tooldef.Shell(shell), shell.WorkingDir, t.shellPermission),
	}
	return slices.DeleteFunc(tools, func(tool Tool) bool { return slices.Contains(t.excluded, tool.Name) })
}

// own are the tools of a request that has none of its own: the client's, else the default ones.
func (t *clientTools) own() (tools []Tool, auto bool) {
	if len(t.registered) > 0 {
		return t.registered, false
	}
	tools = t.defaults()
	return tools, len(tools) > 0
}

func byName(tools []Tool) map[string]Tool {
	named := make(map[string]Tool, len(tools))
	for _, tool := range tools {
		named[tool.Name] = tool
	}
	return named
}

func (t *clientTools) forChat(asked []ChatTool) toolset {
	if asked != nil {
		return toolset{chat: asked, handlers: byName(t.registered)}
	}
	tools, auto := t.own()
	set := toolset{handlers: byName(tools), auto: auto}
	for _, tool := range tools {
		set.chat = append(set.chat, tooldef.ToChatTool(tool))
	}
	return set
}

func (t *clientTools) forResponse(asked []ResponseTool) toolset {
	if asked != nil {
		return toolset{response: asked, handlers: byName(t.registered)}
	}
	tools, auto := t.own()
	set := toolset{handlers: byName(tools), auto: auto}
	for _, tool := range tools {
		declared := tooldef.ToChatTool(tool).Function
		set.response = append(set.response, ResponseTool{
			Type: "function", Name: declared.Name, Description: declared.Description, Parameters: declared.Parameters,
		})
	}
	if len(t.registered) == 0 && t.builtin && !slices.Contains(t.excluded, webSearchTool) {
		set.response = append(set.response, ResponseTool{Type: webSearchTool})
	}
	return set
}

func (t *clientTools) forMessage(asked []MessageTool) toolset {
	if asked != nil {
		return toolset{message: asked, handlers: byName(t.registered)}
	}
	tools, auto := t.own()
	set := toolset{handlers: byName(tools), auto: auto}
	for _, tool := range tools {
		declared := tooldef.ToChatTool(tool).Function
		set.message = append(set.message, MessageTool{
			Name: declared.Name, Description: declared.Description, InputSchema: declared.Parameters,
		})
	}
	return set
}

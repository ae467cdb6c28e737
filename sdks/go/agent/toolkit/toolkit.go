package toolkit

import (
	"context"

	"joytoken.example/sdk-go/agent"
	"joytoken.example/sdk-go/tooldef"
)

// Toolkit is tools with permission and middleware around them.
type Toolkit struct {
	permission Permission
	middleware []Middleware
	tools      []agent.AgentTool
}

// Option is an option of New.
type Option func(*Toolkit)

// WithPermission holds every tool to a permission; without it they run.
func WithPermission(permission Permission) Option {
	return func(t *Toolkit) { t.permission = permission }
}

// WithMiddleware wraps every tool; the first is outermost, and the permission is within all of them.
func WithMiddleware(middleware ...Middleware) Option {
	return func(t *Toolkit) { t.middleware = append(t.middleware, middleware...) }
}

// New is an empty toolkit.
func New(opts ...Option) *Toolkit {
	kit := &Toolkit{}
	for _, opt := range opts {
		if opt != nil {
			opt(kit)
		}
	}
	return kit
}

// Register adds tools; one with the name of another takes its place.
func (t *Toolkit) Register(tools ...agent.AgentTool) *Toolkit {
	for _, tool := range tools {
		replaced := false
		for i := range t.tools {
			if t.tools[i].Name == tool.Name {
				t.tools[i], replaced = tool, true
			}
		}
		if !replaced {
			t.tools = append(t.tools, tool)
		}
	}
	return t
}

// Tools are the tools, wrapped, in the order in which they were registered.
func (t *Toolkit) Tools() []agent.AgentTool {
	wrapped := make([]agent.AgentTool, 0, len(t.tools))
	for _, tool := range t.tools {
		wrapped = append(wrapped, t.wrap(tool))
	}
	return wrapped
}

func (t *Toolkit) wrap(tool agent.AgentTool) agent.AgentTool {
	inner := tool
	execute := t.permission.around(tool.Name,
		func(ctx context.Context, input any, execution agent.ToolExecutionContext) (any, error) {
			// A panic is an error for the middleware, too.
			return tooldef.SafeExecute(ctx, inner, input, execution)
		})
	for i := len(t.middleware) - 1; i >= 0; i-- {
		if t.middleware[i] != nil {
			execute = t.middleware[i](tool.Name, execute)
		}
	}
	tool.Execute = execute
	return tool
}

// Default is a toolkit with Calculator and DateTime.
func Default(opts ...Option) *Toolkit { return New(opts...).Register(Calculator(), DateTime()) }

// WithDefaults is an agent's options with the tools of Default, where Tools is nil.
func WithDefaults(options agent.AgentOptions, opts ...Option) agent.AgentOptions {
	if options.Tools == nil {
		options.Tools = Default(opts...).Tools()
	}
	return options
}

// NewAgent is an agent with the tools of Default, where its options name none.
func NewAgent(options agent.AgentOptions, opts ...Option) *agent.Agent {
	return agent.New(WithDefaults(options, opts...))
}

// Workspace is the file tools of a folder. Searching, listing and reading are free; each write asks, and is refused where
// nobody can be asked.
func Workspace(root string, ask PermissionFunc) []agent.AgentTool {
	sandbox := FileSandbox{Root: root}
	free := New().Register(FileSearch(sandbox), ListDir(sandbox), FileRead(sandbox))
	asking := New(WithPermission(Permission{Mode: PermissionAsk, Ask: ask})).Register(FileWrite(sandbox))
	return append(free.Tools(), asking.Tools()...)
}

package joytoken

// StoppedBy of the loops' results.
const (
	stoppedByStop      = "stop"
	stoppedByMaxSteps  = "max_steps"
	stoppedByMalformed = "malformed_function_call"
	stoppedByError     = "error"
)

// defaultMaxSteps is how many model calls a loop makes where nothing else is said.
const defaultMaxSteps = 8

// ToolCallResult is what was told to the model of one tool call.
type ToolCallResult struct {
	ToolCallID string `json:"tool_call_id"`
	ToolName   string `json:"tool_name"`
	Content    string `json:"content"`
	IsError    bool   `json:"is_error"`
}

// RunChatOptions bounds a loop.
type RunChatOptions struct {
	// MaxSteps is how many model calls are made at most; 8 where it is not positive.
	MaxSteps int
}

// RunChatStreamOptions bounds a streamed loop and hears of it.
type RunChatStreamOptions struct {
	MaxSteps int
	// OnTextDelta gets the text as it comes, of every turn.
	OnTextDelta func(delta string)
	// OnToolResult gets each result as soon as it is there.
	OnToolResult func(result ToolCallResult)
}

// ToolStep is one model call of a loop and the tools that it had called.
type ToolStep struct {
	// Index is 0-based.
	Index            int
	AssistantMessage ChatMessage
	ToolResults      []ToolCallResult
	Usage            *Usage
	FinishReason     string
	// CallMetadata is what the gateway said of the model call; nil where it said nothing.
	CallMetadata *CallMetadata
}

// RunChatResult is what a loop came to.
type RunChatResult struct {
	FinalText string
	// Messages is the whole conversation, the caller's messages among it.
	Messages []ChatMessage
	Steps    []ToolStep
	// StoppedBy is stop, max_steps, malformed_function_call or error.
	StoppedBy    string
	FinishReason string
}

// RunResponseOptions bounds a loop.
type RunResponseOptions struct {
	// MaxSteps is how many model calls are made at most; 8 where it is not positive.
	MaxSteps int
}

// RunResponseStreamOptions bounds a streamed loop and hears of it.
type RunResponseStreamOptions struct {
	MaxSteps int
	// OnTextDelta gets the text as it comes, of every turn.
	OnTextDelta func(delta string)
	// OnToolResult gets each result as soon as it is there.
	OnToolResult func(result ToolCallResult)
}

// ResponseToolStep is one model call of a loop and the tools that it had called.
type ResponseToolStep struct {
	// Index is 0-based.
	Index       int
	Response    *Response
	ToolResults []ToolCallResult
	Usage       *ResponseUsage
}

// RunResponseResult is what a loop came to.
type RunResponseResult struct {
	FinalText string
	// Input is the whole input by the end: what the caller gave, the model's own items as they came, and what tools
	// returned.
	Input     []ResponseInputItem
	Steps     []ResponseToolStep
	StoppedBy string
}

// RunMessageOptions bounds a loop.
type RunMessageOptions struct {
	// MaxSteps is how many model calls are made at most; 8 where it is not positive.
	MaxSteps int
}

// RunMessageStreamOptions bounds a streamed loop and hears of it.
type RunMessageStreamOptions struct {
	MaxSteps int
	// OnTextDelta gets the text as it comes, of every turn.
	OnTextDelta func(delta string)
	// OnToolResult gets each result as soon as it is there.
	OnToolResult func(result ToolCallResult)
}

// MessageToolStep is one model call of a loop and the tools that it had called.
type MessageToolStep struct {
	// Index is 0-based.
	Index       int
	Response    *MessageResponse
	ToolResults []ToolCallResult
	Usage       MessageUsage
}

// RunMessageResult is what a loop came to.
type RunMessageResult struct {
	FinalText string
	// Messages is the whole conversation, the caller's messages among it.
	Messages  []MessageParam
	Steps     []MessageToolStep
	StoppedBy string
}

package joytoken

// MessageContentBlock is one block of a message's content.
type MessageContentBlock struct {
	// Type is text, tool_use or tool_result.
	Type string `json:"type"`
	Text string `json:"text,omitempty"`
	ID   string `json:"id,omitempty"`
	Name string `json:"name,omitempty"`
	// Input is the input of a tool_use, usually a map[string]any.
	Input     any    `json:"input,omitempty"`
	ToolUseID string `json:"tool_use_id,omitempty"`
	// Content is the content of a tool_result: a text or blocks.
	Content any `json:"content,omitempty"`
	// IsError marks a tool_result; chat messages have no place for it.
	IsError          bool           `json:"is_error,omitempty"`
	ExtraContent     map[string]any `json:"extra_content,omitempty"`
	ThoughtSignature string         `json:"thought_signature,omitempty"`
}

// MessageParam is one message of a MessageRequest.
type MessageParam struct {
	Role string `json:"role"`
	// Content is a text or a []MessageContentBlock.
	Content any `json:"content"`
}

// MessageTool declares a tool.
type MessageTool struct {
	Name        string         `json:"name"`
	Description string         `json:"description,omitempty"`
	InputSchema map[string]any `json:"input_schema"`
}

// MessageToolChoice says whether tools are called: type auto, any, none, or tool with a name.
type MessageToolChoice struct {
	Type string `json:"type"`
	Name string `json:"name,omitempty"`
	// DisableParallelToolUse allows at most one call at a time.
	DisableParallelToolUse *bool `json:"disable_parallel_tool_use,omitempty"`
}

// MessageRequest asks for a message.
type MessageRequest struct {
	Model     string         `json:"model"`
	MaxTokens int            `json:"max_tokens"`
	Messages  []MessageParam `json:"messages"`
	// System is a text or a []MessageContentBlock, whose texts are joined with a blank line.
	System any `json:"system,omitempty"`
	// Stream is set by the methods.
	Stream        bool          `json:"stream,omitempty"`
	Temperature   *float64      `json:"temperature,omitempty"`
	TopP          *float64      `json:"top_p,omitempty"`
	StopSequences []string      `json:"stop_sequences,omitempty"`
	Tools         []MessageTool `json:"tools"`
	// ToolChoice is a MessageToolChoice, or its fields as a map.
	ToolChoice any            `json:"tool_choice,omitempty"`
	Tier       string         `json:"tier,omitempty"`
	Metadata   map[string]any `json:"metadata,omitempty"`
	// Extra has further fields, which pass through to the chat request.
	Extra map[string]any `json:"-"`
}

// MessageUsage is the tokens of a message.
type MessageUsage struct {
	InputTokens              int  `json:"input_tokens"`
	OutputTokens             int  `json:"output_tokens"`
	CacheCreationInputTokens *int `json:"cache_creation_input_tokens,omitempty"`
	CacheReadInputTokens     *int `json:"cache_read_input_tokens,omitempty"`
}

// MessageResponse is the answer to a MessageRequest.
type MessageResponse struct {
	ID      string                `json:"id"`
	Type    string                `json:"type"`
	Role    string                `json:"role"`
	Content []MessageContentBlock `json:"content"`
	Model   string                `json:"model"`
	// StopReason is end_turn, max_tokens, tool_use or refusal.
	StopReason   string         `json:"stop_reason,omitempty"`
	StopSequence *string        `json:"stop_sequence"`
	Usage        MessageUsage   `json:"usage"`
	Metadata     map[string]any `json:"metadata,omitempty"`
}

// Text is the text blocks of the message, joined.
func (r *MessageResponse) Text() string { return blockText(r.Content) }

// MessageStreamEvent is one event of a streamed message: message_start, content_block_start, content_block_delta,
// content_block_stop, message_delta, message_stop.
type MessageStreamEvent struct {
	Type         string               `json:"type"`
	Index        *int                 `json:"index,omitempty"`
	Message      *MessageResponse     `json:"message,omitempty"`
	ContentBlock *MessageContentBlock `json:"content_block,omitempty"`
	Delta        map[string]any       `json:"delta,omitempty"`
	Usage        *MessageUsage        `json:"usage,omitempty"`
	Error        map[string]any       `json:"error,omitempty"`
	Metadata     map[string]any       `json:"metadata,omitempty"`

	inherited bool // metadata is only the request id that the stream knew already
}

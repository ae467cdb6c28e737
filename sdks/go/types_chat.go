package joytoken

import (
	"encoding/json"
)

// ModelAuto lets the gateway choose the model. Any model of its catalog can be named instead.
const ModelAuto = "auto"

// ChatCompletionRequest asks for an answer to a chat.
type ChatCompletionRequest struct {
	// Model is ModelAuto or a model of the catalog, such as "openai/gpt-4o-mini".
	Model    string        `json:"model"`
	Messages []ChatMessage `json:"messages"`
	// Stream is set by the methods.
	Stream      bool     `json:"stream"`
	Temperature *float64 `json:"temperature,omitempty"`
	MaxTokens   *int     `json:"max_tokens,omitempty"`
	TopP        *float64 `json:"top_p,omitempty"`
	// Stop is a text or a list of texts.
	Stop any `json:"stop,omitempty"`
	// Tools are declared as they are given; an empty list that is not nil declares none, and keeps the client's away.
	Tools []ChatTool `json:"tools"`
	// ToolChoice is "none", "auto", "required", or an object that names a function.
	ToolChoice any            `json:"tool_choice,omitempty"`
	Tier       string         `json:"tier,omitempty"`
	Metadata   map[string]any `json:"metadata,omitempty"`
	// Extra has further fields of the request, such as response_format or seed. A field that this struct has is refused.
	Extra map[string]any `json:"-"`
}

// MarshalJSON leaves tools out where they are nil, and adds Extra.
func (r ChatCompletionRequest) MarshalJSON() ([]byte, error) {
	type plain ChatCompletionRequest
	return marshalWithExtra(struct {
		plain
		Tools *[]ChatTool `json:"tools,omitempty"`
	}{plain(r), given(r.Tools)}, r.Extra)
}

// ChatCompletionResponse is the answer to a chat.
type ChatCompletionResponse struct {
	ID      string                 `json:"id,omitempty"`
	Object  string                 `json:"object,omitempty"`
	Created int64                  `json:"created,omitempty"`
	Model   string                 `json:"model,omitempty"`
	Choices []ChatCompletionChoice `json:"choices"`
	// Usage is the protocol's, else what metadata.billing says; nil where neither does.
	Usage *Usage `json:"usage,omitempty"`
	// Metadata is what the gateway says of the call, of an orchestrated answer the final row. CallMetadata has it typed.
	Metadata map[string]any `json:"metadata,omitempty"`
	Error    map[string]any `json:"error,omitempty"`
	// MetadataList has the rows of an orchestrated answer.
	MetadataList []OrchestrationTaskMeta `json:"-"`
	Plan         []PlanEntry             `json:"plan,omitempty"`
}

// ChatCompletionChoice is one of an answer's alternatives.
type ChatCompletionChoice struct {
	Index        int         `json:"index"`
	Message      ChatMessage `json:"message"`
	FinishReason string      `json:"finish_reason,omitempty"`
	Logprobs     any         `json:"logprobs,omitempty"`
}

// ChatCompletionChunk is one event of a streamed answer.
type ChatCompletionChunk struct {
	ID      string `json:"id,omitempty"`
	Object  string `json:"object,omitempty"`
	Created int64  `json:"created,omitempty"`
	Model   string `json:"model,omitempty"`
	// Choices is never nil; it is empty in chunks that carry only usage or metadata.
	Choices       []ChatCompletionChunkChoice `json:"choices"`
	Usage         *Usage                      `json:"usage,omitempty"`
	Metadata      map[string]any              `json:"metadata,omitempty"`
	Error         map[string]any              `json:"error,omitempty"`
	Orchestration *ChunkOrchestration         `json:"orchestration,omitempty"`
	MetadataList  []OrchestrationTaskMeta     `json:"-"`

	inherited bool // metadata is only the request id that the stream knew already
}

// ChatCompletionChunkChoice is what a chunk adds to one of the alternatives.
type ChatCompletionChunkChoice struct {
	Index int `json:"index"`
	// Delta is never nil; its content is a text where there is one.
	Delta        map[string]any `json:"delta"`
	FinishReason string         `json:"finish_reason,omitempty"`
	Logprobs     any            `json:"logprobs,omitempty"`
}

// Text is the content that the chunk adds to its first choice.
func (c *ChatCompletionChunk) Text() string {
	if len(c.Choices) == 0 {
		return ""
	}
	text, _ := c.Choices[0].Delta["content"].(string)
	return text
}

// Text is the content of the first choice, where that is a text.
func (r *ChatCompletionResponse) Text() string {
	if len(r.Choices) == 0 {
		return ""
	}
	text, _ := r.Choices[0].Message.Content.(string)
	return text
}

// Usage is the tokens of an answer. PromptTokens include cached input.
type Usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
	// Cost and TotalCost are given by some gateways; exact credits are in CallMetadata().Billing.CreditsUsed.
	Cost      *float64 `json:"cost,omitempty"`
	TotalCost *float64 `json:"total_cost,omitempty"`
}

// UnmarshalJSON reads an answer: metadata may be an object or rows, and usage is completed from it.
func (r *ChatCompletionResponse) UnmarshalJSON(data []byte) error {
	type plain ChatCompletionResponse
	wire := struct {
		*plain
		Metadata json.RawMessage `json:"metadata"`
		Error    json.RawMessage `json:"error"`
	}{plain: (*plain)(r)}
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	r.Error = errorObject(wire.Error)
	r.Metadata, r.MetadataList = readMetadata(wire.Metadata)
	r.Usage = completeUsage(r.Usage, r.Metadata, r.MetadataList)
	return nil
}

// UnmarshalJSON reads a chunk: choices and deltas are never nil, metadata may be an object or rows, and usage is
// completed from it.
func (c *ChatCompletionChunk) UnmarshalJSON(data []byte) error {
	type plain ChatCompletionChunk
	wire := struct {
		*plain
		Choices  []chunkChoice   `json:"choices"`
		Metadata json.RawMessage `json:"metadata"`
		Error    json.RawMessage `json:"error"`
	}{plain: (*plain)(c)}
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	c.Choices = make([]ChatCompletionChunkChoice, 0, len(wire.Choices))
	for position, choice := range wire.Choices {
		c.Choices = append(c.Choices, choice.at(position))
	}
	c.Error = errorObject(wire.Error)
	c.Metadata, c.MetadataList = readMetadata(wire.Metadata)
	c.Usage = completeUsage(c.Usage, c.Metadata, c.MetadataList)
	return nil
}

// chunkChoice is a choice as it comes: its index may be missing, and is then its position.
type chunkChoice struct {
	Index        *int           `json:"index"`
	Delta        map[string]any `json:"delta"`
	FinishReason string         `json:"finish_reason"`
	Logprobs     any            `json:"logprobs"`
}

func (c chunkChoice) at(position int) ChatCompletionChunkChoice {
	if c.Index != nil {
		position = *c.Index
	}
	if c.Delta == nil {
		c.Delta = map[string]any{}
	}
	return ChatCompletionChunkChoice{Index: position, Delta: c.Delta, FinishReason: c.FinishReason, Logprobs: c.Logprobs}
}

package tooldef

import (
	"bytes"
	"encoding/json"
	"maps"
)

// ChatMessage is one message of a chat, as it is on the wire.
type ChatMessage struct {
	// Role is system, developer, user, assistant or tool.
	Role string `json:"role"`
	// Content is a text, a list of content parts, or nil (null on the wire).
	Content any `json:"content"`
	// Name names the speaker or, in a message of role tool, the tool.
	Name string `json:"name,omitempty"`
	// ToolCallID says which call a message of role tool answers.
	ToolCallID string `json:"tool_call_id,omitempty"`
	// ToolCalls are the calls that an assistant message asks for.
	ToolCalls []ToolCall `json:"tool_calls,omitempty"`
	// Extra has what a provider added, such as reasoning_content. It goes back unchanged; numbers are json.Number.
	Extra map[string]any `json:"-"`
}

var messageFields = []string{"role", "content", "name", "tool_call_id", "tool_calls"}

// UnmarshalJSON reads a message; fields of a provider's own are kept in Extra.
func (m *ChatMessage) UnmarshalJSON(data []byte) error {
	type plain ChatMessage
	if err := unmarshalExact(data, (*plain)(m)); err != nil {
		return err
	}
	m.Extra = nil
	var extra map[string]any
	if err := unmarshalExact(data, &extra); err != nil {
		return err
	}
	for _, name := range messageFields {
		delete(extra, name)
	}
	if len(extra) > 0 {
		m.Extra = extra
	}
	return nil
}

// MarshalJSON writes a message with its Extra; the fields of the struct go over it.
func (m ChatMessage) MarshalJSON() ([]byte, error) {
	type plain ChatMessage
	data, err := marshalPlain(plain(m))
	if err != nil || len(m.Extra) == 0 {
		return data, err
	}
	whole := maps.Clone(m.Extra)
	var own map[string]json.RawMessage
	if err := json.Unmarshal(data, &own); err != nil {
		return nil, err
	}
	for name, value := range own {
		whole[name] = value
	}
	return marshalPlain(whole)
}

// marshalPlain writes JSON without the escapes that only HTML needs.
func marshalPlain(value any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}

// unmarshalExact reads JSON whose numbers stay as they are written, in values of kind any.
func unmarshalExact(data []byte, target any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return decoder.Decode(target)
}

// ToolCall is a model's wish to have a tool called.
type ToolCall struct {
	ID       string       `json:"id"`
	Type     string       `json:"type"`
	Function ToolFunction `json:"function"`
	// ThoughtSignature must come back to the provider unchanged on the next turn.
	ThoughtSignature string `json:"thought_signature,omitempty"`
	// ExtraContent is a provider's own, and must come back unchanged. Its numbers are json.Number, so that none is rounded.
	ExtraContent map[string]any `json:"extra_content,omitempty"`
}

// UnmarshalJSON reads a call; the numbers of its extra content stay as they are written.
func (c *ToolCall) UnmarshalJSON(data []byte) error {
	type plain ToolCall
	return unmarshalExact(data, (*plain)(c))
}

// ToolFunction is the function of a call.
type ToolFunction struct {
	Name string `json:"name"`
	// Arguments is a JSON text, as the model wrote it.
	Arguments string `json:"arguments"`
}

// ChatTool declares a tool to a model.
type ChatTool struct {
	// Type is "function", or the type of a tool that the provider runs itself; such a tool is flat on the wire.
	Type     string           `json:"type"`
	Function ChatToolFunction `json:"function"`

	SearchContextSize string         `json:"search_context_size,omitempty"`
	UserLocation      any            `json:"user_location,omitempty"`
	VectorStoreIDs    []string       `json:"vector_store_ids,omitempty"`
	MaxNumResults     *int           `json:"max_num_results,omitempty"`
	Filters           map[string]any `json:"filters,omitempty"`
	RankingOptions    any            `json:"ranking_options,omitempty"`
}

// ChatToolFunction is what a model is told of a function.
type ChatToolFunction struct {
	Name        string `json:"name"`
	Description string `json:"description,omitempty"`
	// Parameters is a JSON Schema of type object.
	Parameters map[string]any `json:"parameters,omitempty"`
}

// MarshalJSON writes a function nested, and any other type flat, without a function.
func (t ChatTool) MarshalJSON() ([]byte, error) {
	type plain ChatTool
	if t.Type == "function" || t.Type == "" {
		t.Type = "function"
		return json.Marshal(plain(t))
	}
	return json.Marshal(struct {
		plain
		Function *struct{} `json:"function,omitempty"`
	}{plain: plain(t)})
}

package joytoken

import (
	"encoding/json"
	"strings"
)

// ResponseInputItem is one item of a response's input. One that was read from JSON is written as it came, with fields that
// have no name here; to change it, make another.
type ResponseInputItem struct {
	Type string `json:"type,omitempty"`
	ID   string `json:"id,omitempty"`
	Role string `json:"role,omitempty"`
	// Status is completed, incomplete or in_progress.
	Status string `json:"status,omitempty"`
	// Content is a text or a list of parts.
	Content          any            `json:"content,omitempty"`
	CallID           string         `json:"call_id,omitempty"`
	Name             string         `json:"name,omitempty"`
	Arguments        string         `json:"arguments,omitempty"`
	Output           any            `json:"output,omitempty"`
	Summary          any            `json:"summary,omitempty"`
	EncryptedContent string         `json:"encrypted_content,omitempty"`
	ExtraContent     map[string]any `json:"extra_content,omitempty"`

	raw json.RawMessage
}

// UnmarshalJSON reads an item and keeps it as it came.
func (i *ResponseInputItem) UnmarshalJSON(data []byte) error {
	type plain ResponseInputItem
	if err := unmarshalExact(data, (*plain)(i)); err != nil {
		return err
	}
	i.raw = append(json.RawMessage(nil), data...)
	return nil
}

// MarshalJSON writes an item; one that was read is written as it came.
func (i ResponseInputItem) MarshalJSON() ([]byte, error) {
	if i.raw != nil {
		return i.raw, nil
	}
	type plain ResponseInputItem
	wire := struct {
		plain
		Arguments *string `json:"arguments,omitempty"`
	}{plain: plain(i)}
	if i.Arguments != "" || i.Type == "function_call" {
		wire.Arguments = &i.Arguments
	}
	return json.Marshal(wire)
}

// ResponseInputContentPart is a part of an input item's content.
type ResponseInputContentPart struct {
	Type string `json:"type"`
	Text string `json:"text,omitempty"`
}

// ResponseToolUserLocation is where a user of web search is.
type ResponseToolUserLocation struct {
	Type     string `json:"type,omitempty"`
	Country  string `json:"country,omitempty"`
	City     string `json:"city,omitempty"`
	Region   string `json:"region,omitempty"`
	Timezone string `json:"timezone,omitempty"`
}

// ResponseToolRankingOptions says how a file search ranks.
type ResponseToolRankingOptions struct {
	Ranker         string   `json:"ranker,omitempty"`
	ScoreThreshold *float64 `json:"score_threshold,omitempty"`
}

// ResponseTool declares a tool: a function, or one that the provider runs itself.
type ResponseTool struct {
	Type              string                      `json:"type"`
	Name              string                      `json:"name,omitempty"`
	Description       string                      `json:"description,omitempty"`
	Parameters        map[string]any              `json:"parameters,omitempty"`
	Strict            *bool                       `json:"strict,omitempty"`
	SearchContextSize string                      `json:"search_context_size,omitempty"`
	UserLocation      *ResponseToolUserLocation   `json:"user_location,omitempty"`
	VectorStoreIDs    []string                    `json:"vector_store_ids,omitempty"`
	MaxNumResults     *int                        `json:"max_num_results,omitempty"`
	Filters           map[string]any              `json:"filters,omitempty"`
	RankingOptions    *ResponseToolRankingOptions `json:"ranking_options,omitempty"`
}

// ResponseRequest asks for a response.
type ResponseRequest struct {
	Model string `json:"model"`
	// Input is a text, a []ResponseInputItem, or any list that is JSON.
	Input        any    `json:"input"`
	Instructions string `json:"instructions,omitempty"`
	// Stream is set by the methods.
	Stream             bool           `json:"stream"`
	MaxOutputTokens    *int           `json:"max_output_tokens,omitempty"`
	Temperature        *float64       `json:"temperature,omitempty"`
	TopP               *float64       `json:"top_p,omitempty"`
	Tools              []ResponseTool `json:"tools"`
	ToolChoice         any            `json:"tool_choice,omitempty"`
	ParallelToolCalls  *bool          `json:"parallel_tool_calls,omitempty"`
	PreviousResponseID string         `json:"previous_response_id,omitempty"`
	Include            []string       `json:"include,omitempty"`
	Store              *bool          `json:"store,omitempty"`
	Tier               string         `json:"tier,omitempty"`
	Metadata           map[string]any `json:"metadata,omitempty"`
	// Extra has further fields of the request. A field that this struct has is refused.
	Extra map[string]any `json:"-"`
}

// MarshalJSON leaves tools out where they are nil, and adds Extra.
func (r ResponseRequest) MarshalJSON() ([]byte, error) {
	type plain ResponseRequest
	return marshalWithExtra(struct {
		plain
		Tools *[]ResponseTool `json:"tools,omitempty"`
	}{plain(r), given(r.Tools)}, r.Extra)
}

// ResponseOutputContent is a part of an output item's content.
type ResponseOutputContent struct {
	Type        string `json:"type"`
	Text        string `json:"text,omitempty"`
	Annotations []any  `json:"annotations,omitempty"`
}

// ResponseOutputItem is one item of a response's output. The loops send items back as they came, with every field.
type ResponseOutputItem struct {
	ID               string                  `json:"id,omitempty"`
	Type             string                  `json:"type"`
	Role             string                  `json:"role,omitempty"`
	Status           string                  `json:"status,omitempty"`
	Content          []ResponseOutputContent `json:"content,omitempty"`
	Name             string                  `json:"name,omitempty"`
	Arguments        string                  `json:"arguments,omitempty"`
	CallID           string                  `json:"call_id,omitempty"`
	Summary          any                     `json:"summary,omitempty"`
	EncryptedContent string                  `json:"encrypted_content,omitempty"`
	Action           any                     `json:"action,omitempty"`
	Results          any                     `json:"results,omitempty"`
	ExtraContent     map[string]any          `json:"extra_content,omitempty"`
	ThoughtSignature string                  `json:"thought_signature,omitempty"`

	raw json.RawMessage
}

// UnmarshalJSON reads an item and keeps it as it came.
func (i *ResponseOutputItem) UnmarshalJSON(data []byte) error {
	type plain ResponseOutputItem
	if err := unmarshalExact(data, (*plain)(i)); err != nil {
		return err
	}
	i.raw = append(json.RawMessage(nil), data...)
	return nil
}

// replay is the item as the next request carries it.
func (i ResponseOutputItem) replay() (ResponseInputItem, error) {
	data := []byte(i.raw)
	if data == nil {
		var err error
		if data, err = json.Marshal(i); err != nil {
			return ResponseInputItem{}, err
		}
	}
	var item ResponseInputItem
	err := item.UnmarshalJSON(data)
	return item, err
}

// ResponseUsage is the tokens of a response.
type ResponseUsage struct {
	InputTokens  int `json:"input_tokens"`
	OutputTokens int `json:"output_tokens"`
	TotalTokens  int `json:"total_tokens"`
}

// Response is the answer to a ResponseRequest.
type Response struct {
	ID                string               `json:"id"`
	Object            string               `json:"object"`
	CreatedAt         int64                `json:"created_at,omitempty"`
	Status            string               `json:"status"`
	Model             string               `json:"model,omitempty"`
	Output            []ResponseOutputItem `json:"output"`
	Usage             *ResponseUsage       `json:"usage,omitempty"`
	Metadata          map[string]any       `json:"metadata,omitempty"`
	Error             map[string]any       `json:"error,omitempty"`
	IncompleteDetails map[string]any       `json:"incomplete_details,omitempty"`

	outputText string
}

// UnmarshalJSON reads a response: metadata may be an object or rows, and usage is completed from it.
func (r *Response) UnmarshalJSON(data []byte) error {
	type plain Response
	wire := struct {
		*plain
		CreatedAt  float64         `json:"created_at"`
		Metadata   json.RawMessage `json:"metadata"`
		Error      json.RawMessage `json:"error"`
		OutputText string          `json:"output_text"`
	}{plain: (*plain)(r)}
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	r.CreatedAt, r.outputText = int64(wire.CreatedAt), wire.OutputText
	r.Error = errorObject(wire.Error)
	var rows []OrchestrationTaskMeta
	r.Metadata, rows = readMetadata(wire.Metadata)
	r.Usage = completeResponseUsage(r.Usage, r.Metadata, rows)
	return nil
}

// OutputText is the text of the output's messages, joined.
func (r *Response) OutputText() string {
	if r == nil {
		return ""
	}
	var text strings.Builder
	for _, item := range r.Output {
		for _, part := range item.Content {
			if part.Type == "output_text" {
				text.WriteString(part.Text)
			}
		}
	}
	if text.Len() == 0 {
		return r.outputText
	}
	return text.String()
}

// ResponseStreamEvent is one event of a streamed response.
type ResponseStreamEvent struct {
	Type           string              `json:"type"`
	SequenceNumber *int                `json:"sequence_number,omitempty"`
	Response       *Response           `json:"response,omitempty"`
	OutputIndex    *int                `json:"output_index,omitempty"`
	ContentIndex   *int                `json:"content_index,omitempty"`
	ItemID         string              `json:"item_id,omitempty"`
	Item           *ResponseOutputItem `json:"item,omitempty"`
	Part           map[string]any      `json:"part,omitempty"`
	// Delta is a text in events of text and arguments.
	Delta     any            `json:"delta,omitempty"`
	Text      string         `json:"text,omitempty"`
	Arguments string         `json:"arguments,omitempty"`
	Error     map[string]any `json:"error,omitempty"`
	Metadata  map[string]any `json:"metadata,omitempty"`

	inherited bool // metadata is only the request id that the stream knew already
}

// UnmarshalJSON reads an event; metadata may be an object or rows.
func (e *ResponseStreamEvent) UnmarshalJSON(data []byte) error {
	type plain ResponseStreamEvent
	wire := struct {
		*plain
		Metadata json.RawMessage `json:"metadata"`
		Error    json.RawMessage `json:"error"`
	}{plain: (*plain)(e)}
	if err := json.Unmarshal(data, &wire); err != nil {
		return err
	}
	e.Error = errorObject(wire.Error)
	if e.Type == "error" && e.Error == nil {
		_ = json.Unmarshal(data, &e.Error)
	}
	e.Metadata, _ = readMetadata(wire.Metadata)
	return nil
}

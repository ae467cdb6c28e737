package joytoken

import (
	"bytes"
	"encoding/json"
)

// CallMetadata is what the gateway says of a call. A field that it did not give is empty or nil.
type CallMetadata struct {
	// RequestID names the receipt: see Client.GetReceipt.
	RequestID string
	BillingID string
	// Model and Provider are those that served the call.
	Model    string
	Provider string
	Tier     string
	Tag      []string
	Score    *float64
	Latency  CallLatency
	Billing  CallBilling
}

// CallLatency is how long a call took, in milliseconds. FirstTokenMS and StreamMS are given of streams only.
type CallLatency struct {
	RoutingMS    *float64
	FirstTokenMS *float64
	StreamMS     *float64
	TotalMS      *float64
}

// CallBilling is what a call cost. Credits and dollars are exact decimal texts; tokens that the provider did not report
// are nil.
type CallBilling struct {
	CreditsUsed        string
	InputTokens        *int
	OutputTokens       *int
	CachedInputTokens  *int
	CachedOutputTokens *int
	ReasoningTokens    *int
	USDCost            string
	// Ending names the rule by which the call was billed, such as completed or client_gone.
	Ending string
	// UsageSource is reported, estimated, recovered or none.
	UsageSource string
}

func newCallMetadata(fields map[string]any) *CallMetadata {
	if len(fields) == 0 {
		return nil
	}
	latency, _ := fields["latency"].(map[string]any)
	billing, _ := fields["billing"].(map[string]any)
	return &CallMetadata{
		RequestID: text(fields["request_id"]),
		BillingID: text(fields["billing_id"]),
		Model:     text(fields["model"]),
		Provider:  text(fields["provider"]),
		Tier:      text(fields["tier"]),
		Tag:       texts(fields["tag"]),
		Score:     number(fields["score"]),
		Latency: CallLatency{
			RoutingMS:    number(latency["routing_ms"]),
			FirstTokenMS: number(latency["first_token_ms"]),
			StreamMS:     number(latency["stream_ms"]),
			TotalMS:      number(latency["total_ms"]),
		},
		Billing: CallBilling{
			CreditsUsed:        decimalText(billing["credits_used"]),
			InputTokens:        tokenCount(billing["input_tokens"]),
			OutputTokens:       tokenCount(billing["output_tokens"]),
			CachedInputTokens:  tokenCount(billing["cached_input_tokens"]),
			CachedOutputTokens: tokenCount(billing["cached_output_tokens"]),
			ReasoningTokens:    tokenCount(billing["reasoning_tokens"]),
			USDCost:            decimalText(billing["usd_cost"]),
			Ending:             text(billing["ending"]),
			UsageSource:        text(billing["usage_source"]),
		},
	}
}

// CallMetadata is what the gateway says of the call; nil where it said nothing.
func (r *ChatCompletionResponse) CallMetadata() *CallMetadata { return newCallMetadata(r.Metadata) }

// CallMetadata is what the gateway says of the call; nil in all chunks but one, usually the last.
func (c *ChatCompletionChunk) CallMetadata() *CallMetadata {
	if c.inherited {
		return nil
	}
	return newCallMetadata(c.Metadata)
}

// CallMetadata is what the gateway says of the call; nil where it said nothing.
func (r *Response) CallMetadata() *CallMetadata { return newCallMetadata(r.Metadata) }

// CallMetadata is what the gateway says of the call; nil in most events.
func (e *ResponseStreamEvent) CallMetadata() *CallMetadata {
	switch {
	case e.Response != nil && len(e.Response.Metadata) > 0:
		return newCallMetadata(e.Response.Metadata)
	case e.inherited:
		return nil
	}
	return newCallMetadata(e.Metadata)
}

// CallMetadata is what the gateway says of the call; nil where it said nothing.
func (r *MessageResponse) CallMetadata() *CallMetadata { return newCallMetadata(r.Metadata) }

// CallMetadata is what the gateway says of the call; nil in most events.
func (e *MessageStreamEvent) CallMetadata() *CallMetadata {
	if e.inherited {
		return nil
	}
	return newCallMetadata(e.Metadata)
}

// CallMetadata is what the gateway says of the call; nil where it said nothing.
func (r *ImageGenerationResponse) CallMetadata() *CallMetadata { return newCallMetadata(r.Metadata) }

// RequestIDFromMetadata reads request_id; empty where there is none.
func RequestIDFromMetadata(metadata map[string]any) string { return text(metadata["request_id"]) }

// RequestID names the call for GetReceipt; empty where the gateway gave none.
func (r *ChatCompletionResponse) RequestID() string { return RequestIDFromMetadata(r.Metadata) }

// RequestID names the call for GetReceipt; empty where the gateway gave none.
func (c *ChatCompletionChunk) RequestID() string { return RequestIDFromMetadata(c.Metadata) }

// RequestID names the call for GetReceipt; empty where the gateway gave none.
func (r *Response) RequestID() string { return RequestIDFromMetadata(r.Metadata) }

// RequestID names the call for GetReceipt; empty where the gateway gave none.
func (e *ResponseStreamEvent) RequestID() string {
	if e.Response != nil {
		return firstText(e.Response.RequestID(), RequestIDFromMetadata(e.Metadata))
	}
	return RequestIDFromMetadata(e.Metadata)
}

// RequestID names the call for GetReceipt; empty where the gateway gave none.
func (r *ImageGenerationResponse) RequestID() string { return RequestIDFromMetadata(r.Metadata) }

// RequestID names the call for GetReceipt; empty where the gateway gave none.
func (r *MessageResponse) RequestID() string { return RequestIDFromMetadata(r.Metadata) }

// RequestID names the call for GetReceipt; empty where the gateway gave none.
func (e *MessageStreamEvent) RequestID() string { return RequestIDFromMetadata(e.Metadata) }

// readMetadata takes the object, or of rows the final one, else the first.
func readMetadata(data json.RawMessage) (map[string]any, []OrchestrationTaskMeta) {
	data = bytes.TrimSpace(data)
	if bytes.HasPrefix(data, []byte("{")) {
		var fields map[string]any
		_ = json.Unmarshal(data, &fields)
		return fields, nil
	}
	if !bytes.HasPrefix(data, []byte("[")) {
		return nil, nil
	}
	var items []json.RawMessage
	if json.Unmarshal(data, &items) != nil {
		return nil, nil
	}
	var chosen map[string]any
	var rows []OrchestrationTaskMeta
	for _, item := range items {
		var fields map[string]any
		var row OrchestrationTaskMeta
		if json.Unmarshal(item, &fields) != nil || fields == nil || json.Unmarshal(item, &row) != nil {
			continue
		}
		if chosen == nil || row.TaskID == OrchestrationFinalTaskID {
			chosen = fields
		}
		rows = append(rows, row)
	}
	return chosen, rows
}

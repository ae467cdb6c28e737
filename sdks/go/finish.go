package joytoken

import "strings"

// FinishReasonKind is why an answer ended.
type FinishReasonKind int

const (
	// FinishUnknown is a reason that is not told, or not known.
	FinishUnknown FinishReasonKind = iota
	// FinishStop is an answer that is whole.
	FinishStop
	// FinishToolCalls is one that asks for tools.
	FinishToolCalls
	// FinishLength is one that reached its bound of tokens.
	FinishLength
	// FinishContentFilter is one that was held back.
	FinishContentFilter
	// FinishMalformedToolCall is one whose tool calls could not be read by the provider.
	FinishMalformedToolCall
)

var finishNames = map[FinishReasonKind]string{
	FinishUnknown: "unknown", FinishStop: "stop", FinishToolCalls: "tool_calls", FinishLength: "length",
	FinishContentFilter: "content_filter", FinishMalformedToolCall: "malformed_function_call",
}

var finishKinds = map[string]FinishReasonKind{
	"stop": FinishStop, "end_turn": FinishStop, "endturn": FinishStop, "complete": FinishStop, "completed": FinishStop,

	"tool_calls": FinishToolCalls, "toolcalls": FinishToolCalls, "tool_use": FinishToolCalls,
	"tooluse": FinishToolCalls, "function_call": FinishToolCalls, "functioncall": FinishToolCalls,

	"length": FinishLength, "max_tokens": FinishLength, "maxtokens": FinishLength, "model_length": FinishLength,

	"content_filter": FinishContentFilter, "contentfilter": FinishContentFilter, "safety": FinishContentFilter,
	"blocklist": FinishContentFilter, "prohibited_content": FinishContentFilter, "recitation": FinishContentFilter,

	"malformed_function_call": FinishMalformedToolCall, "malformedfunctioncall": FinishMalformedToolCall,
	"malformed_tool_call": FinishMalformedToolCall,
}

// String is the reason's usual name, such as tool_calls.
func (k FinishReasonKind) String() string {
	if name, ok := finishNames[k]; ok {
		return name
	}
	return finishNames[FinishUnknown]
}

// ClassifyFinishReason reads a provider's finish reason, however it is spelled.
func ClassifyFinishReason(raw string) FinishReasonKind {
	return finishKinds[strings.NewReplacer("-", "_", " ", "_").Replace(strings.ToLower(strings.TrimSpace(raw)))]
}

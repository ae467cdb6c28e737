package agent

import (
	"strings"

	joytoken "joytoken.example/sdk-go"
)

// StoppedBy of a run that ended, or paused, for a reason of its own.
const (
	// StoppedByApproval is a run that waits for decisions: see AgentResult.Pending.
	StoppedByApproval = "approval"
	// StoppedByInvalidOutput is a run whose final answer did not fit the schema, also after it was asked again.
	StoppedByInvalidOutput = "invalid_output"
)

// AgentResult is what a run came to.
type AgentResult struct {
	// FinalText is the model's last text.
	FinalText string
	// Messages is the whole conversation.
	Messages []joytoken.ChatMessage
	Steps    []AgentStep
	Usage    UsageSummary
	// StoppedBy is empty where the model came to its end; else the reason of the stop condition, "approval", or type and
	// code of the gateway's refusal, such as insufficient_quota:wallet_empty.
	StoppedBy string

	Status RunStatus
	// RunID names the run to the gateway and to the store.
	RunID string
	// CreditsUsed is the exact sum of what the gateway charged, sub-agents included, a decimal text.
	CreditsUsed string
	// RequestIDs are the receipts of the model calls, in order.
	RequestIDs []string
	// Refusal is the gateway's answer that ended the run, a 402 or 403.
	Refusal *joytoken.APIError
	// Pending are the calls that wait for a decision.
	Pending []PendingCall
	// Output is the final answer as JSON values, where AgentOptions.Output asked for it: see OutputAs.
	Output any
	// State is the whole run: see ResumeState. It is not changed any more.
	State *RunState
}

// AgentStep is one model call and the tools that it had called.
type AgentStep struct {
	// Index is 1-based.
	Index            int                  `json:"index"`
	AssistantMessage joytoken.ChatMessage `json:"assistant_message"`
	ToolResults      []ToolResult         `json:"tool_results"`
	Usage            *joytoken.Usage      `json:"usage"`
	// RequestID names the receipt of the model call.
	RequestID string `json:"request_id,omitempty"`
	// Metadata is what the gateway said of the model call; CallMetadata has it typed.
	Metadata map[string]any `json:"metadata,omitempty"`
}

// CallMetadata is what the gateway said of the model call: model, tier, billing, latency; nil where it said nothing.
func (s AgentStep) CallMetadata() *joytoken.CallMetadata {
	return (&joytoken.ChatCompletionResponse{Metadata: s.Metadata}).CallMetadata()
}

// ToolResult is what was told to the model of one tool call.
type ToolResult struct {
	ToolCallID string `json:"tool_call_id"`
	ToolName   string `json:"tool_name"`
	Content    string `json:"content"`
	IsError    bool   `json:"is_error"`
}

// UsageSummary is the tokens of a run, sub-agents included.
type UsageSummary struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
	// Cost is the sum of what answers reported in their usage; nil while none did.
	Cost *float64 `json:"cost"`
}

// add counts one model call.
func (s *UsageSummary) add(usage *joytoken.Usage) {
	if usage == nil {
		return
	}
	cost := usage.Cost
	if cost == nil {
		cost = usage.TotalCost
	}
	s.addSummary(UsageSummary{usage.PromptTokens, usage.CompletionTokens, usage.TotalTokens, cost})
}

func (s *UsageSummary) addSummary(more UsageSummary) {
	s.PromptTokens += more.PromptTokens
	s.CompletionTokens += more.CompletionTokens
	s.TotalTokens += more.TotalTokens
	if more.Cost != nil {
		sum := *more.Cost
		if s.Cost != nil {
			sum += *s.Cost
		}
		s.Cost = &sum
	}
}

// contentText is the text of a message's content: a text, or the texts of its parts.
func contentText(content any) string {
	switch value := content.(type) {
	case string:
		return value
	case []any:
		joined := strings.Builder{}
		for _, part := range value {
			fields, _ := part.(map[string]any)
			if text, ok := fields["text"].(string); ok {
				joined.WriteString(text)
			}
		}
		return joined.String()
	}
	return ""
}

package joytoken

import (
	"context"

	"joytoken.example/sdk-go/tooldef"
)

// CreateMessage asks for a message. It is sent as a chat; tools are declared and run as by CreateChatCompletion.
func (c *Client) CreateMessage(ctx context.Context, request MessageRequest) (*MessageResponse, error) {
	set := c.tools.forMessage(request.Tools)
	request.Tools = set.message
	talk := &messageTalk{request: request, ask: c.askChat}
	if !set.auto {
		if _, err := talk.next(ctx, 0); err != nil {
			return nil, err
		}
	} else if _, err := c.loop(ctx, 0, set.handlers, talk, nil); err != nil {
		return nil, err
	}
	return talk.steps[len(talk.steps)-1].Response, nil
}

// newMessage is a chat's answer in the messages shape.
func newMessage(answer *ChatCompletionResponse) *MessageResponse {
	message := &MessageResponse{
		ID: answer.ID, Type: "message", Role: "assistant", Model: answer.Model, Content: []MessageContentBlock{},
		Usage: newMessageUsage(answer.Usage, answer.CallMetadata()), Metadata: answer.Metadata,
	}
	choice := ChatCompletionChoice{}
	if len(answer.Choices) > 0 {
		choice = answer.Choices[0]
	}
	if said := contentText(choice.Message.Content); said != "" {
		message.Content = append(message.Content, MessageContentBlock{Type: "text", Text: said})
	}
	for _, call := range choice.Message.ToolCalls {
		message.Content = append(message.Content, toolUse(call))
	}
	message.StopReason = stopReason(choice.FinishReason, len(choice.Message.ToolCalls) > 0)
	return message
}

func toolUse(call ToolCall) MessageContentBlock {
	input, isObject := tooldef.ParseToolArguments(call.Function.Arguments).(map[string]any)
	if _, raw := input["raw"]; !isObject || raw && len(input) == 1 && input["raw"] == call.Function.Arguments {
		input = map[string]any{}
	}
	return MessageContentBlock{
		Type: "tool_use", ID: call.ID, Name: call.Function.Name, Input: input,
		ExtraContent: call.ExtraContent, ThoughtSignature: call.ThoughtSignature,
	}
}

func stopReason(finish string, calls bool) string {
	switch kind := ClassifyFinishReason(finish); {
	case calls, kind == FinishToolCalls:
		return "tool_use"
	case kind == FinishLength:
		return "max_tokens"
	case kind == FinishContentFilter:
		return "refusal"
	}
	return "end_turn"
}

func newMessageUsage(usage *Usage, metadata *CallMetadata) MessageUsage {
	if usage == nil {
		return MessageUsage{}
	}
	message := MessageUsage{InputTokens: usage.PromptTokens, OutputTokens: usage.CompletionTokens}
	if metadata != nil {
		message.CacheReadInputTokens = metadata.Billing.CachedInputTokens
	}
	return message
}

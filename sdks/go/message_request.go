package joytoken

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
)

// chatRequest is the chat that a request of the messages shape stands for.
func (r MessageRequest) chatRequest(tools []MessageTool) (ChatCompletionRequest, error) {
	chat := ChatCompletionRequest{
		Model: r.Model, Temperature: r.Temperature, TopP: r.TopP, Tier: r.Tier, Metadata: r.Metadata,
		Extra: maps.Clone(r.Extra),
	}
	if r.MaxTokens > 0 {
		chat.MaxTokens = &r.MaxTokens
	}
	if len(r.StopSequences) > 0 {
		chat.Stop = r.StopSequences
	}
	if tools != nil {
		chat.Tools = []ChatTool{}
	}
	for _, tool := range tools {
		chat.Tools = append(chat.Tools, ChatTool{Type: "function", Function: ChatToolFunction{
			Name: tool.Name, Description: tool.Description, Parameters: tool.InputSchema,
		}})
	}
	if err := r.setToolChoice(&chat); err != nil {
		return chat, err
	}
	var err error
	chat.Messages, err = r.chatMessages()
	return chat, err
}

func (r MessageRequest) setToolChoice(chat *ChatCompletionRequest) error {
	if r.ToolChoice == nil {
		return nil
	}
	if word, ok := r.ToolChoice.(string); ok {
		chat.ToolChoice = chatToolChoice(MessageToolChoice{Type: word})
		return nil
	}
	var choice MessageToolChoice
	if err := convert(r.ToolChoice, &choice); err != nil {
		return fmt.Errorf("joytoken: ToolChoice must be a MessageToolChoice: %w", err)
	}
	chat.ToolChoice = chatToolChoice(choice)
	if choice.DisableParallelToolUse != nil {
		if chat.Extra == nil {
			chat.Extra = map[string]any{}
		}
		chat.Extra["parallel_tool_calls"] = !*choice.DisableParallelToolUse
	}
	return nil
}

func chatToolChoice(choice MessageToolChoice) any {
	switch choice.Type {
	case "any":
		return "required"
	case "tool":
		return map[string]any{"type": "function", "function": map[string]any{"name": choice.Name}}
	}
	return choice.Type
}

func (r MessageRequest) chatMessages() ([]ChatMessage, error) {
	messages := []ChatMessage{}
	system, err := joinedText(r.System, "\n\n")
	if err != nil {
		return nil, fmt.Errorf("joytoken: System: %w", err)
	}
	if system != "" {
		messages = append(messages, ChatMessage{Role: "system", Content: system})
	}
	for i, message := range r.Messages {
		translated, err := message.chatMessages()
		if err != nil {
			return nil, fmt.Errorf("joytoken: Messages[%d]: %w", i, err)
		}
		messages = append(messages, translated...)
	}
	return messages, nil
}

// chatMessages is one message as chat messages: a user's tool results are messages of their own.
func (m MessageParam) chatMessages() ([]ChatMessage, error) {
	if content, ok := m.Content.(string); ok {
		return []ChatMessage{{Role: m.Role, Content: content}}, nil
	}
	blocks, err := contentBlocks(m.Content)
	if err != nil {
		return nil, err
	}
	if m.Role == "assistant" {
		return assistantMessage(blocks)
	}
	var messages []ChatMessage
	var pending strings.Builder
	flush := func() {
		if pending.Len() > 0 {
			messages = append(messages, ChatMessage{Role: m.Role, Content: pending.String()})
			pending.Reset()
		}
	}
	for _, block := range blocks {
		switch block.Type {
		case "text":
			pending.WriteString(block.Text)
		case "tool_result":
			flush()
			result, err := joinedText(block.Content, "")
			if err != nil {
				return nil, err
			}
			messages = append(messages, ChatMessage{Role: "tool", ToolCallID: block.ToolUseID, Content: result})
		default:
			return nil, errBlock(m.Role, block)
		}
	}
	flush()
	return messages, nil
}

func assistantMessage(blocks []MessageContentBlock) ([]ChatMessage, error) {
	message := ChatMessage{Role: "assistant"}
	said := ""
	for _, block := range blocks {
		switch block.Type {
		case "text":
			said += block.Text
		case "tool_use":
			input := block.Input
			if input == nil {
				input = map[string]any{}
			}
			arguments, err := json.Marshal(input)
			if err != nil {
				return nil, err
			}
			message.ToolCalls = append(message.ToolCalls, ToolCall{
				ID: block.ID, Type: "function", Function: ToolFunction{Name: block.Name, Arguments: string(arguments)},
				ThoughtSignature: block.ThoughtSignature, ExtraContent: block.ExtraContent,
			})
		default:
			return nil, errBlock("assistant", block)
		}
	}
	if said != "" {
		message.Content = said
	}
	return []ChatMessage{message}, nil
}

func errBlock(role string, block MessageContentBlock) error {
	return fmt.Errorf("a content block of type %.40q cannot be sent in a message of role %.40q", block.Type, role)
}

// contentBlocks reads blocks that may be typed, or maps.
func contentBlocks(content any) ([]MessageContentBlock, error) {
	switch value := content.(type) {
	case nil:
		return nil, nil
	case string:
		return []MessageContentBlock{{Type: "text", Text: value}}, nil
	case []MessageContentBlock:
		return value, nil
	}
	var blocks []MessageContentBlock
	if err := convert(content, &blocks); err != nil {
		return nil, fmt.Errorf("content must be a text or content blocks: %w", err)
	}
	return blocks, nil
}

// joinedText is the text of blocks.
func joinedText(content any, separator string) (string, error) {
	blocks, err := contentBlocks(content)
	if err != nil {
		return "", err
	}
	var parts []string
	for _, block := range blocks {
		if block.Type != "text" {
			return "", fmt.Errorf("a content block of type %.40q stands where only text can", block.Type)
		}
		parts = append(parts, block.Text)
	}
	return strings.Join(parts, separator), nil
}

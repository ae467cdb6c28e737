package agent

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"

	joytoken "joytoken.example/sdk-go"
	"joytoken.example/sdk-go/tooldef"
)

// messagesMaxTokens bounds an answer in the messages shape, which needs a bound, where the agent has none.
const messagesMaxTokens = 1024

func (p *JoyTokenProvider) askMessages(
	ctx context.Context, request ModelRequest, onText func(string),
) (ModelResponse, error) {
	wire := p.messageRequest(request)
	if onText == nil {
		answer, err := p.Client.CreateMessage(ctx, wire)
		if err != nil {
			return ModelResponse{}, err
		}
		return messageAnswer(answer), nil
	}
	stream, err := p.Client.StreamMessage(ctx, wire)
	if err != nil {
		return ModelResponse{}, err
	}
	answer, err := collectMessage(stream, onText)
	if err != nil {
		return ModelResponse{}, err
	}
	return messageAnswer(answer), nil
}

func (p *JoyTokenProvider) messageRequest(request ModelRequest) joytoken.MessageRequest {
	wire := joytoken.MessageRequest{
		Model: p.model(), MaxTokens: messagesMaxTokens, Temperature: request.Temperature, Tier: request.Tier,
		Metadata: request.Metadata, Tools: []joytoken.MessageTool{},
	}
	if request.MaxTokens != nil {
		wire.MaxTokens = *request.MaxTokens
	}
	if request.ToolChoice != nil {
		wire.ToolChoice = messageToolChoice(request.ToolChoice)
	}
	if request.ResponseFormat != nil {
		wire.Extra = map[string]any{"response_format": request.ResponseFormat}
	}
	for _, tool := range request.Tools {
		wire.Tools = append(wire.Tools, joytoken.MessageTool{
			Name: tool.Function.Name, Description: tool.Function.Description, InputSchema: tool.Function.Parameters,
		})
	}
	var system []string
	for _, message := range request.Messages {
		if message.Role == "system" || message.Role == "developer" {
			system = append(system, contentText(message.Content))
			continue
		}
		wire.Messages = joinMessage(wire.Messages, messageParam(message))
	}
	if len(system) > 0 {
		wire.System = strings.Join(system, "\n\n")
	}
	return wire
}

// messageToolChoice is a choice of the chat shape in the messages shape.
func messageToolChoice(choice any) any {
	switch choice {
	case "auto", "none":
		return joytoken.MessageToolChoice{Type: choice.(string)}
	case "required", "any":
		return joytoken.MessageToolChoice{Type: "any"}
	}
	fields, _ := choice.(map[string]any)
	if function, ok := fields["function"].(map[string]any); ok {
		name, _ := function["name"].(string)
		return joytoken.MessageToolChoice{Type: "tool", Name: name}
	}
	return choice
}

// messageParam is a chat message in the messages shape: what tools returned is said by the user.
func messageParam(message joytoken.ChatMessage) joytoken.MessageParam {
	switch {
	case message.Role == "tool":
		return joytoken.MessageParam{Role: "user", Content: []joytoken.MessageContentBlock{{
			Type: "tool_result", ToolUseID: message.ToolCallID, Content: contentText(message.Content),
		}}}
	case message.Role == "assistant" && len(message.ToolCalls) > 0:
		var blocks []joytoken.MessageContentBlock
		if text := contentText(message.Content); text != "" {
			blocks = append(blocks, joytoken.MessageContentBlock{Type: "text", Text: text})
		}
		for _, call := range message.ToolCalls {
			input, isObject := tooldef.ParseToolArguments(call.Function.Arguments).(map[string]any)
			if !isObject {
				input = map[string]any{}
			}
			blocks = append(blocks, joytoken.MessageContentBlock{
				Type: "tool_use", ID: call.ID, Name: call.Function.Name, Input: input,
				ExtraContent: call.ExtraContent, ThoughtSignature: call.ThoughtSignature,
			})
		}
		return joytoken.MessageParam{Role: "assistant", Content: blocks}
	}
	return joytoken.MessageParam{Role: message.Role, Content: message.Content}
}

// joinMessage appends a message; blocks of one speaker in a row become one message.
func joinMessage(messages []joytoken.MessageParam, next joytoken.MessageParam) []joytoken.MessageParam {
	if len(messages) > 0 {
		last := &messages[len(messages)-1]
		before, isBefore := last.Content.([]joytoken.MessageContentBlock)
		after, isAfter := next.Content.([]joytoken.MessageContentBlock)
		if isBefore && isAfter && last.Role == next.Role {
			last.Content = append(before, after...)
			return messages
		}
	}
	return append(messages, next)
}

// messageAnswer is an answer in the messages shape as a chat message.
func messageAnswer(answer *joytoken.MessageResponse) ModelResponse {
	message := joytoken.ChatMessage{Role: "assistant"}
	if text := answer.Text(); text != "" {
		message.Content = text
	}
	for _, block := range answer.Content {
		if block.Type != "tool_use" {
			continue
		}
		arguments, err := json.Marshal(block.Input)
		if err != nil || block.Input == nil {
			arguments = []byte("{}")
		}
		message.ToolCalls = append(message.ToolCalls, joytoken.ToolCall{
			ID: block.ID, Type: "function",
			Function:     joytoken.ToolFunction{Name: block.Name, Arguments: string(arguments)},
			ExtraContent: block.ExtraContent, ThoughtSignature: block.ThoughtSignature,
		})
	}
	usage := &joytoken.Usage{
		PromptTokens: answer.Usage.InputTokens, CompletionTokens: answer.Usage.OutputTokens,
		TotalTokens: answer.Usage.InputTokens + answer.Usage.OutputTokens,
	}
	return ModelResponse{Message: message, Usage: usage, Raw: answer, Metadata: answer.Metadata}
}

// collectMessage puts the events of a streamed message together, and closes the stream.
func collectMessage(stream *joytoken.MessageStream, onText func(string)) (*joytoken.MessageResponse, error) {
	defer stream.Close()
	answer := &joytoken.MessageResponse{}
	inputs := map[int]*strings.Builder{}
	var metadata map[string]any // the fullest that came; other events have only the request's id
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if event.CallMetadata() != nil || metadata == nil {
			metadata = event.Metadata
		}
		switch event.Type {
		case "message_start":
			*answer = *event.Message
		case "content_block_start":
			answer.Content = append(answer.Content, *event.ContentBlock)
			inputs[len(answer.Content)-1] = &strings.Builder{}
		case "content_block_delta":
			addDelta(answer, inputs, event.Delta, onText)
		case "message_delta":
			if event.Usage != nil {
				answer.Usage = *event.Usage
			}
		}
	}
	if metadata != nil {
		answer.Metadata = metadata
	}
	for i := range answer.Content {
		if input, there := inputs[i]; there && input.Len() > 0 {
			answer.Content[i].Input = tooldef.ParseToolArguments(input.String())
		}
	}
	return answer, nil
}

func addDelta(
	answer *joytoken.MessageResponse, inputs map[int]*strings.Builder, delta map[string]any, onText func(string),
) {
	last := len(answer.Content) - 1
	if last < 0 {
		return
	}
	if text, ok := delta["text"].(string); ok {
		answer.Content[last].Text += text
		onText(text)
	}
	if piece, ok := delta["partial_json"].(string); ok {
		inputs[last].WriteString(piece)
	}
}

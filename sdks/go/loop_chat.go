package joytoken

import (
	"context"
	"errors"
	"slices"
)

var errNoChoices = errors.New("chat completion returned no choices")

// RunChatCompletion asks a model and runs the client's tools that it calls, until it answers without. After a failure of a
// later turn the result is not nil: it has what was said and done until then.
func (c *Client) RunChatCompletion(
	ctx context.Context, request ChatCompletionRequest, options RunChatOptions,
) (*RunChatResult, error) {
	return c.runChat(ctx, request, options.MaxSteps, c.askChat, nil)
}

// RunChatCompletionStream is RunChatCompletion by streams: text and results are told as they come.
func (c *Client) RunChatCompletionStream(
	ctx context.Context, request ChatCompletionRequest, options RunChatStreamOptions,
) (*RunChatResult, error) {
	ask := func(ctx context.Context, request ChatCompletionRequest) (*ChatCompletionResponse, error) {
		return c.askChatStream(ctx, request, options.OnTextDelta)
	}
	return c.runChat(ctx, request, options.MaxSteps, ask, options.OnToolResult)
}

type askChat func(context.Context, ChatCompletionRequest) (*ChatCompletionResponse, error)

func (c *Client) runChat(
	ctx context.Context, request ChatCompletionRequest, maxSteps int, ask askChat, onResult func(ToolCallResult),
) (*RunChatResult, error) {
	set := c.tools.forChat(request.Tools)
	request.Tools = set.chat
	talk := &chatTalk{client: c, request: request, ask: ask}
	stoppedBy, err := c.loop(ctx, maxSteps, set.handlers, talk, onResult)
	if err != nil && len(talk.steps) == 0 {
		return nil, err
	}
	result := &RunChatResult{Messages: talk.request.Messages, Steps: talk.steps, StoppedBy: stoppedBy}
	last := talk.steps[len(talk.steps)-1]
	result.FinalText, result.FinishReason = contentText(last.AssistantMessage.Content), stoppedBy
	if stoppedBy == stoppedByStop {
		result.FinishReason = last.FinishReason
	}
	return result, err
}

// chatTalk is a loop's conversation in chat messages.
type chatTalk struct {
	client  *Client
	request ChatCompletionRequest
	ask     askChat
	answer  *ChatCompletionResponse
	steps   []ToolStep
}

func (t *chatTalk) next(ctx context.Context, step int) (turn, error) {
	answer, err := t.ask(ctx, t.request)
	if err != nil {
		return turn{}, err
	}
	if len(answer.Choices) == 0 {
		return turn{}, errNoChoices
	}
	t.answer = answer
	choice := answer.Choices[0]
	if choice.Message.Role == "" {
		choice.Message.Role = "assistant"
	}
	t.append(choice.Message)
	t.steps = append(t.steps, ToolStep{
		Index: step, AssistantMessage: choice.Message, Usage: answer.Usage, FinishReason: choice.FinishReason,
		CallMetadata: answer.CallMetadata(),
	})
	malformed := ClassifyFinishReason(choice.FinishReason) == FinishMalformedToolCall
	return turn{calls: choice.Message.ToolCalls, malformed: malformed}, nil
}

func (t *chatTalk) nudge() {
	t.append(ChatMessage{Role: "user", Content: malformedToolCallNudge})
}

func (t *chatTalk) told(results []ToolCallResult) {
	t.steps[len(t.steps)-1].ToolResults = results
	t.request.ToolChoice = relaxed(t.request.ToolChoice)
	for _, result := range results {
		t.append(ChatMessage{
			Role: "tool", ToolCallID: result.ToolCallID, Name: result.ToolName, Content: result.Content,
		})
	}
}

func (t *chatTalk) messages() []ChatMessage { return slices.Clip(t.request.Messages) }

// append never writes into the caller's slice.
func (t *chatTalk) append(message ChatMessage) {
	t.request.Messages = append(slices.Clip(t.request.Messages), message)
}

// contentText is the text of a message's content: a text, or the text of its parts.
func contentText(content any) string {
	switch value := content.(type) {
	case string:
		return value
	case nil:
		return ""
	}
	joined := ""
	var parts []struct {
		Type string `json:"type"`
		Text string `json:"text"`
	}
	if err := convert(content, &parts); err != nil {
		return ""
	}
	for _, part := range parts {
		if part.Type == "text" || part.Type == "output_text" || part.Type == "input_text" {
			joined += part.Text
		}
	}
	return joined
}

package joytoken

import (
	"context"
	"slices"
)

// RunMessage asks a model and runs the client's tools that it calls, until it answers without. After a failure of a later
// turn the result is not nil: it has what was said and done until then.
func (c *Client) RunMessage(
	ctx context.Context, request MessageRequest, options RunMessageOptions,
) (*RunMessageResult, error) {
	return c.runMessage(ctx, request, options.MaxSteps, c.askChat, nil)
}

// RunMessageStream is RunMessage by streams: text and results are told as they come.
func (c *Client) RunMessageStream(
	ctx context.Context, request MessageRequest, options RunMessageStreamOptions,
) (*RunMessageResult, error) {
	ask := func(ctx context.Context, request ChatCompletionRequest) (*ChatCompletionResponse, error) {
		return c.askChatStream(ctx, request, options.OnTextDelta)
	}
	return c.runMessage(ctx, request, options.MaxSteps, ask, options.OnToolResult)
}

func (c *Client) runMessage(
	ctx context.Context, request MessageRequest, maxSteps int, ask askChat, onResult func(ToolCallResult),
) (*RunMessageResult, error) {
	set := c.tools.forMessage(request.Tools)
	request.Tools = set.message
	talk := &messageTalk{request: request, ask: ask}
	stoppedBy, err := c.loop(ctx, maxSteps, set.handlers, talk, onResult)
	if err != nil && len(talk.steps) == 0 {
		return nil, err
	}
	return &RunMessageResult{
		FinalText: talk.steps[len(talk.steps)-1].Response.Text(), Messages: talk.request.Messages, Steps: talk.steps,
		StoppedBy: stoppedBy,
	}, err
}

// messageTalk is a loop's conversation in the messages shape.
type messageTalk struct {
	request MessageRequest
	ask     askChat
	steps   []MessageToolStep
}

func (t *messageTalk) next(ctx context.Context, step int) (turn, error) {
	chat, err := t.request.chatRequest(t.request.Tools)
	if err != nil {
		return turn{}, err
	}
	answer, err := t.ask(ctx, chat)
	if err != nil {
		return turn{}, err
	}
	if len(answer.Choices) == 0 {
		return turn{}, errNoChoices
	}
	message := newMessage(answer)
	t.append(MessageParam{Role: "assistant", Content: message.Content})
	t.steps = append(t.steps, MessageToolStep{Index: step, Response: message, Usage: message.Usage})
	choice := answer.Choices[0]
	malformed := ClassifyFinishReason(choice.FinishReason) == FinishMalformedToolCall
	return turn{calls: choice.Message.ToolCalls, malformed: malformed}, nil
}

func (t *messageTalk) nudge() {
	t.append(MessageParam{Role: "user", Content: malformedToolCallNudge})
}

func (t *messageTalk) told(results []ToolCallResult) {
	t.steps[len(t.steps)-1].ToolResults = results
	t.request.ToolChoice = relaxed(t.request.ToolChoice)
	blocks := make([]MessageContentBlock, 0, len(results))
	for _, result := range results {
		blocks = append(blocks, MessageContentBlock{
			Type: "tool_result", ToolUseID: result.ToolCallID, Content: result.Content, IsError: result.IsError,
		})
	}
	t.append(MessageParam{Role: "user", Content: blocks})
}

func (t *messageTalk) messages() []ChatMessage {
	messages, _ := t.request.chatMessages() // what was sent already can be translated
	return messages
}

// append never writes into the caller's slice.
func (t *messageTalk) append(message MessageParam) {
	t.request.Messages = append(slices.Clip(t.request.Messages), message)
}

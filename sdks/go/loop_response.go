package joytoken

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// RunResponse asks a model and runs the client's tools that it calls, until it answers without. Every turn sends the whole
// input again. After a failure of a later turn the result is not nil: it has what was said and done until then.
func (c *Client) RunResponse(
	ctx context.Context, request ResponseRequest, options RunResponseOptions,
) (*RunResponseResult, error) {
	return c.runResponse(ctx, request, options.MaxSteps, c.askResponse, nil)
}

// RunResponseStream is RunResponse by streams: text and results are told as they come.
func (c *Client) RunResponseStream(
	ctx context.Context, request ResponseRequest, options RunResponseStreamOptions,
) (*RunResponseResult, error) {
	ask := func(ctx context.Context, request ResponseRequest) (*Response, error) {
		return c.askResponseStream(ctx, request, options.OnTextDelta)
	}
	return c.runResponse(ctx, request, options.MaxSteps, ask, options.OnToolResult)
}

type askResponse func(context.Context, ResponseRequest) (*Response, error)

func (c *Client) runResponse(
	ctx context.Context, request ResponseRequest, maxSteps int, ask askResponse, onResult func(ToolCallResult),
) (*RunResponseResult, error) {
	set := c.tools.forResponse(request.Tools)
	request.Tools = set.response
	talk, err := newResponseTalk(request, ask)
	if err != nil {
		return nil, err
	}
	stoppedBy, err := c.loop(ctx, maxSteps, set.handlers, talk, onResult)
	if err != nil && len(talk.steps) == 0 {
		return nil, err
	}
	return &RunResponseResult{
		FinalText: talk.steps[len(talk.steps)-1].Response.OutputText(), Input: talk.input, Steps: talk.steps,
		StoppedBy: stoppedBy,
	}, err
}

// responseTalk is a loop's conversation in items of a response.
type responseTalk struct {
	request ResponseRequest
	ask     askResponse
	input   []ResponseInputItem
	steps   []ResponseToolStep
}

func newResponseTalk(request ResponseRequest, ask askResponse) (*responseTalk, error) {
	talk := &responseTalk{request: request, ask: ask}
	switch input := request.Input.(type) {
	case string:
		talk.input = []ResponseInputItem{{Type: "message", Role: "user", Content: input}}
	case []ResponseInputItem:
		talk.input = slices.Clone(input)
	default:
		if err := convert(input, &talk.input); err != nil {
			return nil, fmt.Errorf("joytoken: Input must be a text or a list of items: %w", err)
		}
	}
	return talk, nil
}

func (t *responseTalk) next(ctx context.Context, step int) (turn, error) {
	t.request.Input = slices.Clone(t.input)
	answer, err := t.ask(ctx, t.request)
	if err != nil {
		return turn{}, err
	}
	if answer.Status == "failed" {
		return turn{}, responseFailure(answer)
	}
	asked := turn{}
	for _, item := range answer.Output {
		replayed, err := item.replay()
		if err != nil {
			return turn{}, err
		}
		t.input = append(t.input, replayed)
		if item.Type == "function_call" {
			asked.calls = append(asked.calls, ToolCall{
				ID: item.CallID, Type: "function", Function: ToolFunction{Name: item.Name, Arguments: item.Arguments},
				ThoughtSignature: item.ThoughtSignature, ExtraContent: item.ExtraContent,
			})
		}
	}
	t.steps = append(t.steps, ResponseToolStep{Index: step, Response: answer, Usage: answer.Usage})
	return asked, nil
}

// responseFailure is the error of a response that says itself that it failed.
func responseFailure(answer *Response) error {
	return &APIError{
		StatusCode: http.StatusOK, Code: ErrorCodeUnknown, Type: text(answer.Error["type"]),
		Reason: text(answer.Error["code"]), RequestID: answer.RequestID(), Body: map[string]any{"error": answer.Error},
	}
}

// nudge is never called: no response says that its calls are malformed.
func (t *responseTalk) nudge() {}

func (t *responseTalk) told(results []ToolCallResult) {
	t.steps[len(t.steps)-1].ToolResults = results
	t.request.ToolChoice = relaxed(t.request.ToolChoice)
	for _, result := range results {
		t.input = append(t.input, ResponseInputItem{
			Type: "function_call_output", CallID: result.ToolCallID, Output: result.Content,
		})
	}
}

// messages is nil: items are no chat messages.
func (t *responseTalk) messages() []ChatMessage { return nil }

// askResponseStream makes one model call by a stream and puts its events together.
func (c *Client) askResponseStream(
	ctx context.Context, request ResponseRequest, onText func(string),
) (*Response, error) {
	stream, err := c.streamResponse(ctx, request)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	answer := responseAssembly{done: map[int]ResponseOutputItem{}}
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return answer.response(), nil
		}
		if err != nil {
			return nil, err
		}
		if text := answer.add(event); text != "" && onText != nil {
			onText(text)
		}
	}
}

// responseAssembly puts the events of a stream together to the response that they are.
type responseAssembly struct {
	terminal *Response
	done     map[int]ResponseOutputItem
	text     strings.Builder
	metadata map[string]any
}

// add takes an event, and returns the text that it adds.
func (a *responseAssembly) add(event *ResponseStreamEvent) string {
	a.metadata = merged(a.metadata, event.Metadata)
	switch event.Type {
	case "response.output_text.delta":
		added := text(event.Delta)
		a.text.WriteString(added)
		return added
	case "response.output_item.done":
		if event.Item != nil {
			index := len(a.done)
			if event.OutputIndex != nil {
				index = *event.OutputIndex
			}
			a.done[index] = *event.Item
		}
	case "response.completed", "response.incomplete", "response.failed":
		if event.Response != nil {
			a.terminal = event.Response
		}
	}
	return ""
}

// response is the terminal one, with the items that only were streamed; without a terminal event it is made up of them.
func (a *responseAssembly) response() *Response {
	answer := a.terminal
	if answer == nil {
		answer = &Response{Object: "response", Status: "completed"}
	}
	for index, item := range answer.Output {
		a.done[index] = item
	}
	answer.Output = []ResponseOutputItem{}
	for _, index := range slices.Sorted(maps.Keys(a.done)) {
		answer.Output = append(answer.Output, a.done[index])
	}
	answer.outputText = firstText(answer.outputText, a.text.String())
	answer.Metadata = merged(answer.Metadata, a.metadata)
	answer.Usage = completeResponseUsage(answer.Usage, answer.Metadata, nil)
	return answer
}

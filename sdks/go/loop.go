package joytoken

import (
	"context"
	"errors"
	"fmt"

	"joytoken.example/sdk-go/tooldef"
)

// malformedToolCallNudge asks a model to repeat tool calls that its provider could not read.
const malformedToolCallNudge = "Your last tool call could not be read. Call the tool again: give its exact name, and " +
	"arguments that are one valid JSON object. If no tool is needed, answer in plain text."

// toolResultBytesMax bounds what of a tool's result is told to the model.
const toolResultBytesMax = 1 << 20

// conversation is one of the three shapes that a loop can talk in.
type conversation interface {
	// next makes a model call and keeps the answer.
	next(ctx context.Context, step int) (turn, error)
	// nudge asks to repeat malformed tool calls.
	nudge()
	// told keeps what the tools returned, for the next call.
	told(results []ToolCallResult)
	// messages is the conversation so far, for the tools.
	messages() []ChatMessage
}

// turn is what a model's answer asks for.
type turn struct {
	calls     []ToolCall
	malformed bool
}

// loop asks a model and runs the tools that it calls, until an answer calls none. It returns why it ended; whatever was
// answered until then is in the conversation.
func (c *Client) loop(
	ctx context.Context, maxSteps int, handlers map[string]Tool, talk conversation, onResult func(ToolCallResult),
) (stoppedBy string, err error) {
	if maxSteps <= 0 {
		maxSteps = defaultMaxSteps
	}
	stoppedBy = stoppedByMaxSteps
	for step := range maxSteps {
		answer, err := talk.next(withStepKey(ctx, step+1), step)
		if err != nil {
			return stoppedByError, err
		}
		if len(answer.calls) == 0 {
			if !answer.malformed {
				return stoppedByStop, nil
			}
			stoppedBy = stoppedByMalformed
			if step+1 < maxSteps {
				talk.nudge()
			}
			continue
		}
		stoppedBy = stoppedByMaxSteps
		results, err := c.runTools(ctx, step, handlers, answer.calls, talk.messages(), onResult)
		talk.told(results)
		if err != nil {
			return stoppedByError, err
		}
	}
	return stoppedBy, nil
}

// withStepKey numbers the caller's Idempotency-Key for the model calls of a loop, from the second on.
func withStepKey(ctx context.Context, call int) context.Context {
	key := callOptions(ctx).IdempotencyKey
	if key == "" || call == 1 {
		return ctx
	}
	return WithCall(ctx, CallOptions{IdempotencyKey: fmt.Sprintf("%s:%d", key, call)})
}

// withoutKey is the context of tools: what they ask a model is another call than the loop's.
func withoutKey(ctx context.Context) context.Context {
	options := callOptions(ctx)
	if options.IdempotencyKey == "" {
		return ctx
	}
	options.IdempotencyKey = ""
	return context.WithValue(ctx, callKey{}, options)
}

// runTools runs calls in order. What goes wrong within a tool is told to the model; an error is a tool that cannot be
// run at all, or the end of the context.
func (c *Client) runTools(
	ctx context.Context, step int, handlers map[string]Tool, calls []ToolCall, messages []ChatMessage,
	onResult func(ToolCallResult),
) ([]ToolCallResult, error) {
	results := make([]ToolCallResult, 0, len(calls))
	for _, call := range calls {
		if err := ctx.Err(); err != nil {
			return results, fmt.Errorf("joytoken: the loop was ended: %w", err)
		}
		tool, found := handlers[call.Function.Name]
		if found && tool.Execute == nil {
			return results, fmt.Errorf("tool %q has no Execute function", call.Function.Name)
		}
		result := ToolCallResult{ToolCallID: call.ID, ToolName: call.Function.Name}
		if found {
			execution := ToolExecutionContext{Step: step, ToolCall: call, Messages: messages}
			result.Content, result.IsError = toolContent(withoutKey(ctx), tool, execution)
		} else {
			result.Content, result.IsError = "Tool not found: "+call.Function.Name, true
		}
		results = append(results, result)
		if onResult != nil {
			onResult(result)
		}
	}
	return results, nil
}

// toolContent runs one tool and makes the text that is told to the model.
func toolContent(ctx context.Context, tool Tool, execution ToolExecutionContext) (content string, isError bool) {
	input := tooldef.ParseToolArguments(execution.ToolCall.Function.Arguments)
	result, err := any(nil), error(nil)
	if tool.RequiresApproval != nil && tool.RequiresApproval(input) {
		err = errors.New("this call needs an approval, which only an agent can ask for")
	} else {
		result, err = tooldef.SafeExecute(ctx, tool, input, execution)
	}
	if err == nil {
		content, err = tooldef.StringifyToolResult(result)
	}
	if err != nil {
		content, isError = "Tool error: "+err.Error(), true
	}
	if len(content) > toolResultBytesMax {
		content = content[:toolResultBytesMax] + "\n[cut: the result is over 1 MiB]"
	}
	return content, isError
}

// relaxed is a tool choice after tools have been run: a forced one would force them again and again.
func relaxed(choice any) any {
	switch chosen := choice.(type) {
	case nil:
		return nil
	case string:
		if chosen == "required" || chosen == "any" {
			return "auto"
		}
		return choice
	}
	fields, err := jsonObject(choice)
	if err != nil {
		return choice
	}
	switch fields["type"] {
	case "auto", "none":
		return choice
	}
	return "auto"
}

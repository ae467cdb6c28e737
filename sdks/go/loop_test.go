package joytoken

import (
	"context"
	"errors"
	"strings"
	"testing"
)

func TestLoopEnds(t *testing.T) {
	malformed := `{"choices":[{"message":{"role":"assistant","content":null},"finish_reason":"malformed_function_call"}]}`
	for name, c := range map[string]struct {
		answers   []string
		maxSteps  int
		stoppedBy string
		finish    string
		turns     int
	}{
		"clean":                   {[]string{said("hi")}, 0, "stop", "stop", 1},
		"exhausted":               {[]string{calls("add", "{}")}, 3, "max_steps", "max_steps", 3},
		"exhausted by default":    {[]string{calls("add", "{}")}, 0, "max_steps", "max_steps", 8},
		"malformed, then whole":   {[]string{malformed, said("hi")}, 0, "stop", "stop", 2},
		"malformed for ever":      {[]string{malformed}, 2, "malformed_function_call", "malformed_function_call", 2},
		"malformed, then a call":  {[]string{malformed, calls("add", "{}"), said("hi")}, 0, "stop", "stop", 3},
		"malformed before a call": {[]string{malformed, calls("add", "{}")}, 2, "max_steps", "max_steps", 2},
	} {
		t.Run(name, func(t *testing.T) {
			client, s := scripted(t, c.answers, WithToolHandler("add", "", nil, add))
			result, err := client.RunChatCompletion(context.Background(), hello(), RunChatOptions{MaxSteps: c.maxSteps})
			if err != nil {
				t.Fatal(err)
			}
			mustEqual(t, []any{result.StoppedBy, result.FinishReason, len(s.requests()), len(result.Steps)},
				[]any{c.stoppedBy, c.finish, c.turns, c.turns})
			if strings.HasPrefix(name, "malformed") {
				last := s.requests()[1]["messages"].([]any)[2].(map[string]any)
				mustEqual(t, []any{last["role"], last["content"]}, []any{"user", malformedToolCallNudge})
			}
		})
	}
}

func TestLoopToolsThatGoWrong(t *testing.T) {
	ctx := context.Background()
	client, _ := scripted(t, []string{calls("add", "{}"), said("so")},
		WithTools(Tool{Name: "add", Execute: func(context.Context, any, ToolExecutionContext) (any, error) {
			panic("ouch")
		}}))
	result, err := client.RunChatCompletion(ctx, hello(), RunChatOptions{})
	if err != nil || result.Steps[0].ToolResults[0].Content != "Tool error: tool panicked: ouch" {
		t.Fatalf("%+v, %v", result, err)
	}
	client, _ = scripted(t, []string{calls("add", "{}")}, WithTools(Tool{Name: "add"}))
	result, err = client.RunChatCompletion(ctx, hello(), RunChatOptions{})
	if err == nil || err.Error() != `tool "add" has no Execute function` || result.StoppedBy != "error" {
		t.Fatalf("%+v, %v", result, err)
	}
	client, _ = scripted(t, []string{calls("add", "{}"), said("so")},
		WithTools(Tool{Name: "add", Execute: add, RequiresApproval: func(any) bool { return true }}))
	result, err = client.RunChatCompletion(ctx, hello(), RunChatOptions{})
	if err != nil || !result.Steps[0].ToolResults[0].IsError {
		t.Fatalf("%+v, %v", result, err)
	}
	client, _ = scripted(t, []string{`{"choices":[]}`})
	if _, err = client.RunChatCompletion(ctx, hello(), RunChatOptions{}); !errors.Is(err, errNoChoices) {
		t.Fatalf("got %v", err)
	}
}

func TestLoopNumbersTheCallersKey(t *testing.T) {
	var within string
	client, s := scripted(t, []string{calls("add", "{}"), said("so")},
		WithToolHandler("add", "", nil, func(ctx context.Context, _ any, _ ToolExecutionContext) (any, error) {
			within = callOptions(ctx).IdempotencyKey
			return nil, nil
		}))
	ctx := WithCall(context.Background(), CallOptions{IdempotencyKey: "order-1"})
	if _, err := client.RunChatCompletion(ctx, hello(), RunChatOptions{}); err != nil {
		t.Fatal(err)
	}
	mustEqual(t, []string{s.headers[0].Get("Idempotency-Key"), s.headers[1].Get("Idempotency-Key"), within},
		[]string{"order-1", "order-1:2", ""})
}

func TestLoopLeavesTheCallersMessagesAlone(t *testing.T) {
	client, _ := scripted(t, []string{calls("add", "{}"), said("so")}, WithToolHandler("add", "", nil, add))
	messages := make([]ChatMessage, 1, 9)
	messages[0] = ChatMessage{Role: "user", Content: "hi"}
	request := ChatCompletionRequest{Model: "auto", Messages: messages}
	if _, err := client.RunChatCompletion(context.Background(), request, RunChatOptions{}); err != nil {
		t.Fatal(err)
	}
	if messages[:2][1].Role != "" {
		t.Fatal("a message was written into the caller's slice")
	}
}

func TestLoopByStream(t *testing.T) {
	call := `{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"c1","function":{"name":"add","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}`
	text := `{"choices":[{"index":0,"delta":{"content":"done"},"finish_reason":"stop"}]}`
	client, _ := scripted(t, []string{call, text}, WithToolHandler("add", "", nil, add))
	var heard []string
	onText := func(delta string) { heard = append(heard, delta) }
	onResult := func(result ToolCallResult) { heard = append(heard, result.Content) }
	result, err := client.RunChatCompletionStream(context.Background(), hello(),
		RunChatStreamOptions{OnTextDelta: onText, OnToolResult: onResult})
	if err != nil || result.FinalText != "done" || result.FinishReason != "stop" {
		t.Fatalf("%+v, %v", result, err)
	}
	mustEqual(t, heard, []string{`{"sum":3}`, "done"})
	client, _ = scripted(t, []string{call, text}, WithToolHandler("add", "", nil, add))
	heard = nil
	messages, err := client.RunMessageStream(context.Background(), MessageRequest{
		Model: "auto", MaxTokens: 9, Messages: []MessageParam{{Role: "user", Content: "hi"}},
	}, RunMessageStreamOptions{OnTextDelta: onText, OnToolResult: onResult})
	if err != nil || messages.FinalText != "done" || len(messages.Messages) != 4 {
		t.Fatalf("%+v, %v", messages, err)
	}
	mustEqual(t, heard, []string{`{"sum":3}`, "done"})
}

func TestLoopOverResponses(t *testing.T) {
	call := `{"id":"r","object":"response","status":"completed","output":[` +
		`{"type":"reasoning","id":"rs","encrypted_content":"e","unknown":{"n":9007199254740993}},` +
		`{"type":"function_call","call_id":"c1","name":"add","arguments":""}]}`
	done := `{"id":"r2","object":"response","status":"completed","error":null,"output":[{"type":"message",` +
		`"content":[{"type":"output_text","text":"done"}]}],"usage":{"input_tokens":1,"output_tokens":2}}`
	client, s := scripted(t, []string{call, done}, WithToolHandler("add", "", nil, add))
	request := ResponseRequest{Model: "auto", Input: "hi", ToolChoice: map[string]any{"type": "function", "name": "add"}}
	result, err := client.RunResponse(context.Background(), request, RunResponseOptions{})
	if err != nil || result.FinalText != "done" || result.StoppedBy != "stop" || result.Steps[1].Usage.TotalTokens != 3 {
		t.Fatalf("%+v, %v", result, err)
	}
	input := s.requests()[1]["input"].([]any)
	mustEqual(t, input[0], map[string]any{"type": "message", "role": "user", "content": "hi"})
	mustEqual(t, input[1].(map[string]any)["unknown"], map[string]any{"n": 9007199254740993})
	mustEqual(t, input[2].(map[string]any)["arguments"], "")
	mustEqual(t, input[3], map[string]any{"type": "function_call_output", "call_id": "c1", "output": `{"sum":3}`})
	mustEqual(t, s.requests()[1]["tool_choice"], "auto")
	mustEqual(t, len(result.Input), 5)
}

func TestResponseStreams(t *testing.T) {
	delta := `{"type":"response.output_text.delta","delta":"do"}`
	client, _ := scripted(t, []string{delta})
	result, err := client.RunResponseStream(context.Background(), ResponseRequest{Model: "auto", Input: "hi"},
		RunResponseStreamOptions{})
	if err != nil || result.FinalText != "do" || result.Steps[0].Response.Status != "completed" {
		t.Fatalf("%+v, %v", result, err)
	}
	client, _ = scripted(t, []string{`{"type":"error","message":"lost","code":"server_error"}`})
	_, err = client.RunResponseStream(context.Background(), ResponseRequest{Model: "auto", Input: "hi"},
		RunResponseStreamOptions{})
	var apiErr *APIError
	if !errors.As(err, &apiErr) || apiErr.Reason != "server_error" || !strings.Contains(err.Error(), "lost") {
		t.Fatalf("got %v", err)
	}
	client, _ = scripted(t, []string{`{"object":"response","status":"failed","error":{"code":"x","message":"lost"}}`})
	_, err = client.RunResponse(context.Background(), ResponseRequest{Model: "auto", Input: "hi"}, RunResponseOptions{})
	if !errors.As(err, &apiErr) || apiErr.Reason != "x" {
		t.Fatalf("got %v", err)
	}
}

func TestRequestExtras(t *testing.T) {
	request := hello()
	request.Extra = map[string]any{"seed": 7}
	mustEqual(t, asJSON(t, request).(map[string]any)["seed"], 7)
	request.Extra = map[string]any{"model": "other"}
	client, s := scripted(t, []string{said("hi")})
	_, err := client.CreateChatCompletion(context.Background(), request)
	if err == nil || !strings.Contains(err.Error(), `"model"`) || len(s.requests()) > 0 {
		t.Fatalf("got %v", err)
	}
}

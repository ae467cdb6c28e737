package joytoken

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

// The checks of the SDK's contract, by their number. Those that need a gateway are in world_test.go.

func TestNothingIsRequired(t *testing.T) {
	data, err := os.ReadFile("go.mod")
	if err != nil || strings.Contains(string(data), "require") {
		t.Fatalf("the standard library is all that is used: %s, %v", data, err)
	}
}

func answered(t *testing.T, body string) *ChatCompletionResponse {
	t.Helper()
	client, _ := scripted(t, []string{body})
	answer, err := client.CreateChatCompletion(context.Background(), hello())
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// streamed reads all chunks of a stream of these events, and how it ended.
func streamed(t *testing.T, header map[string]string, events ...string) (chunks []*ChatCompletionChunk, err error) {
	t.Helper()
	client := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		for name, v := range header {
			w.Header().Set(name, v)
		}
		for _, data := range events {
			event(w, data)
		}
	})
	stream, err := client.StreamChatCompletion(context.Background(), hello())
	if err != nil {
		t.Fatal(err)
	}
	for chunk, err := range stream.All() {
		if err != nil {
			return chunks, err
		}
		chunks = append(chunks, chunk)
	}
	return chunks, nil
}

func TestCheck13ToolsNullAndEmpty(t *testing.T) {
	none := ChatCompletionRequest{Model: "auto"}
	empty := ChatCompletionRequest{Model: "auto", Tools: []ChatTool{}}
	if _, there := asJSON(t, none).(map[string]any)["tools"]; there {
		t.Fatal("tools are there")
	}
	mustEqual(t, asJSON(t, empty).(map[string]any)["tools"], []any{})
}

func TestCheck21RequestIDAndMetadataList(t *testing.T) {
	answer := answered(t, `{"choices":[{}],"metadata":{"request_id":"req-1"}}`)
	mustEqual(t, answer.RequestID(), "req-1")
	answer = answered(t, `{"choices":[{}],"metadata":[{"request_id":"req-2","tier":"economy"}]}`)
	mustEqual(t, answer.RequestID(), "req-2")
	mustEqual(t, len(answer.MetadataList), 1)
	mustEqual(t, answer.IsOrchestrated(), false)
}

func TestCheck22FinalRow(t *testing.T) {
	answer := answered(t, `{"choices":[{}],"plan":[{"seq":1,"task_id":"t","title":"T"}],"metadata":[`+
		`{"task_id":"t","request_id":"req-1"},{"task_id":"__final__","request_id":"req-2"}]}`)
	mustEqual(t, answer.RequestID(), "req-2")
	mustEqual(t, answer.IsOrchestrated(), true)
	mustEqual(t, answer.MetadataList[0].TaskID, "t")
}

func TestCheck23UsageBeatsBilling(t *testing.T) {
	answer := answered(t, `{"choices":[{}],"usage":{"prompt_tokens":1,"completion_tokens":2,"total_tokens":3},`+
		`"metadata":{"billing":{"input_tokens":9,"output_tokens":9}}}`)
	mustEqual(t, answer.Usage, Usage{PromptTokens: 1, CompletionTokens: 2, TotalTokens: 3})
	answer = answered(t, `{"choices":[{}],"metadata":{"billing":{"input_tokens":9,"output_tokens":8}}}`)
	mustEqual(t, answer.Usage.TotalTokens, 17)
}

func TestCheck24BillingTexts(t *testing.T) {
	answer := answered(t, `{"choices":[{}],"metadata":[{"billing":{"input_tokens":"11","output_tokens":"5"}}]}`)
	mustEqual(t, answer.Usage, Usage{PromptTokens: 11, CompletionTokens: 5, TotalTokens: 16})
	mustEqual(t, answer.MetadataList[0].Billing.InputTokens, 11)
}

func TestCheck29ToolCallsArrive(t *testing.T) {
	answer := answered(t, calls("add", `{"a":1}`))
	call := answer.Choices[0].Message.ToolCalls[0]
	mustEqual(t, []string{call.ID, call.Type, call.Function.Name, call.Function.Arguments},
		[]string{"call_1", "function", "add", `{"a":1}`})
}

func add(context.Context, any, ToolExecutionContext) (any, error) {
	return map[string]any{"sum": 3}, nil
}

func TestCheck30SignaturesComeBack(t *testing.T) {
	client, s := scripted(t, []string{calls("add", "{}"), said("3")}, WithToolHandler("add", "", nil, add))
	if _, err := client.RunChatCompletion(context.Background(), hello(), RunChatOptions{}); err != nil {
		t.Fatal(err)
	}
	messages := s.requests()[1]["messages"].([]any)
	call := messages[1].(map[string]any)["tool_calls"].([]any)[0].(map[string]any)
	mustEqual(t, call["extra_content"], map[string]any{"google": map[string]any{"thought_signature": "sig"}})
	if _, there := call["thought_signature"]; there {
		t.Fatal("a thought signature was made up")
	}
}

func TestCheck32ErrorWithinAGoodStatus(t *testing.T) {
	client, _ := scripted(t, []string{`{"error":{"message":"orchestration failed","type":"server_error"},"choices":[]}`})
	_, err := client.CreateChatCompletion(context.Background(), hello())
	var apiErr *APIError
	if !errors.As(err, &apiErr) || apiErr.StatusCode != 200 || apiErr.Type != "server_error" ||
		!strings.Contains(err.Error(), "orchestration failed") {
		t.Fatalf("got %v", err)
	}
}

func TestCheck36MetadataOnlyChunk(t *testing.T) {
	chunks, err := streamed(t, nil, `{"metadata":{"billing":{"input_tokens":4,"output_tokens":2}}}`, "[DONE]")
	if err != nil || len(chunks) != 1 || chunks[0].Choices == nil || len(chunks[0].Choices) != 0 {
		t.Fatalf("%v, %v", chunks, err)
	}
	mustEqual(t, chunks[0].Usage.TotalTokens, 6)
}

func TestCheck37LearnedRequestID(t *testing.T) {
	chunks, err := streamed(t, map[string]string{"X-Request-ID": "req-header"}, chunkText,
		`{"choices":[],"metadata":{"request_id":"req-body"}}`, chunkText, "[DONE]")
	if err != nil {
		t.Fatal(err)
	}
	mustEqual(t, []string{chunks[0].RequestID(), chunks[1].RequestID(), chunks[2].RequestID()},
		[]string{"req-header", "req-body", "req-body"})
	if chunks[0].CallMetadata() != nil || chunks[1].CallMetadata() == nil {
		t.Fatal("metadata is where it is not, or not where it is")
	}
}

func TestCheck39LargeAndSplitEvents(t *testing.T) {
	large := strings.Repeat("x", 70<<10)
	chunks, err := streamed(t, nil, `{"choices":[{"index":0,"delta":{"content":"`+large+`"}}]}`,
		"{\"choices\":[{\"index\":0,\n\"delta\":{\"content\":\"a\"}}]}", "[DONE]")
	if err != nil || len(chunks) != 2 || chunks[0].Text() != large || chunks[1].Text() != "a" {
		t.Fatalf("%d chunks, %v", len(chunks), err)
	}
}

func TestCheck41ToolCallFragments(t *testing.T) {
	client := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		for _, delta := range []string{
			`{"tool_calls":[{"index":0,"id":"c","function":{"name":"add","arguments":"{\"a\""},"extra_content":{"x":{"a":1},"l":[1]}}]}`,
			`{"tool_calls":[{"index":0,"function":{"arguments":":1}"},"extra_content":{"x":{"b":2},"l":[2]}}]}`,
		} {
			event(w, `{"choices":[{"index":0,"delta":`+delta+`}]}`)
		}
		event(w, "[DONE]")
	})
	stream, err := client.StreamChatCompletion(context.Background(), hello())
	if err != nil {
		t.Fatal(err)
	}
	answer, err := stream.Collect(nil)
	if err != nil {
		t.Fatal(err)
	}
	call := answer.Choices[0].Message.ToolCalls[0]
	mustEqual(t, call.Function.Arguments, `{"a":1}`)
	mustEqual(t, call.ExtraContent, map[string]any{"x": map[string]any{"a": 1, "b": 2}, "l": []any{2}})
}

func TestCheck42ErrorWithinAStream(t *testing.T) {
	chunks, err := streamed(t, nil, chunkText, `{"error":{"message":"lost","type":"upstream_error"},"choices":[]}`)
	var apiErr *APIError
	if len(chunks) != 1 || !errors.As(err, &apiErr) || apiErr.Type != "upstream_error" {
		t.Fatalf("%v, %v", chunks, err)
	}
}

func TestCheck45RefusalBeforeTheFirstByte(t *testing.T) {
	attempts := 0
	client := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		attempts++
		w.WriteHeader(502)
		_, _ = io.WriteString(w, `{"error":{"message":"no","type":"upstream_error"}}`)
	})
	_, err := client.StreamChatCompletion(context.Background(), hello())
	var apiErr *APIError
	if !errors.As(err, &apiErr) || apiErr.StatusCode != 502 || attempts != 1 {
		t.Fatalf("%v after %d attempts", err, attempts)
	}
}

func TestCheck82LocalErrors(t *testing.T) {
	seen := make(chan *http.Request, 9)
	keyless := fake(t, serve(seen), WithAPIKey("  "))
	ctx := context.Background()
	for name, call := range map[string]func() error{
		"chat":    func() error { _, err := keyless.CreateChatCompletion(ctx, hello()); return err },
		"stream":  func() error { _, err := keyless.StreamChatCompletion(ctx, hello()); return err },
		"meta":    func() error { _, err := keyless.GetModelMeta(ctx); return err },
		"pricing": func() error { _, err := keyless.GetPricing(ctx); return err },
		"receipt": func() error { _, err := keyless.GetReceipt(ctx, "req-1"); return err },
		"key":     func() error { _, err := keyless.GetKey(ctx); return err },
		"run":     func() error { _, err := keyless.GetRun(ctx, "r"); return err },
	} {
		if err := call(); !errors.Is(err, ErrMissingAPIKey) || len(seen) > 0 {
			t.Fatalf("%s: %v, %d requests", name, err, len(seen))
		}
	}
	if _, err := keyless.ListModels(ctx); err != nil || len(seen) != 1 {
		t.Fatalf("models: %v", err)
	}
	_, err := fake(t, serve(seen)).CreateChatCompletion(ctx, ChatCompletionRequest{Model: " "})
	if err == nil || !strings.Contains(err.Error(), "model") || len(seen) != 1 {
		t.Fatalf("blank model: %v", err)
	}
}

func TestCheck83AuthenticationComesLast(t *testing.T) {
	client, s := scripted(t, []string{said("hi")},
		WithHeader("Authorization", "Bearer other"), WithHeader("x-api-key", "other"))
	if _, err := client.CreateChatCompletion(context.Background(), hello()); err != nil {
		t.Fatal(err)
	}
	mustEqual(t, s.headers[0].Get("Authorization"), "Bearer "+testKey)
	mustEqual(t, s.headers[0].Values("X-Api-Key"), nil)
}

func names(body map[string]any) []string {
	list := []string{}
	for _, tool := range body["tools"].([]any) {
		fields := tool.(map[string]any)
		if function, ok := fields["function"].(map[string]any); ok {
			fields = function
		}
		name, _ := fields["name"].(string)
		list = append(list, firstText(name, text(fields["type"])))
	}
	return list
}

func TestCheck84DeclaredTools(t *testing.T) {
	local := []string{"calculator", "datetime", "file_search", "list_dir", "file_read", "file_write", "shell"}
	for name, c := range map[string]struct {
		options []Option
		tools   []ChatTool
		want    []string
	}{
		"default":  {want: local},
		"none":     {tools: []ChatTool{}, want: []string{}},
		"client's": {options: []Option{WithToolHandler("add", "", nil, add)}, want: []string{"add"}},
		"without":  {options: []Option{WithoutDefaultTools("shell"), WithoutDefaultTools("file_write")}, want: local[:5]},
	} {
		t.Run(name, func(t *testing.T) {
			client, s := scripted(t, []string{said("hi")}, c.options...)
			request := hello()
			request.Tools = c.tools
			if _, err := client.CreateChatCompletion(context.Background(), request); err != nil {
				t.Fatal(err)
			}
			mustEqual(t, names(s.requests()[0]), c.want)
		})
	}
	client, s := scripted(t, []string{`{"object":"response","status":"completed"}`}, WithDefaultBuiltinTools(true))
	if _, err := client.CreateResponse(context.Background(), ResponseRequest{Model: "auto", Input: "hi"}); err != nil {
		t.Fatal(err)
	}
	mustEqual(t, names(s.requests()[0]), append(local, "web_search_preview"))
}

func TestCheck85WhoRunsTools(t *testing.T) {
	ran := 0
	counted := func(context.Context, any, ToolExecutionContext) (any, error) { ran++; return "three", nil }
	client, s := scripted(t, []string{calls("add", "{}")}, WithToolHandler("add", "adds", nil, counted))
	if _, err := client.CreateChatCompletion(context.Background(), hello()); err != nil || ran != 0 {
		t.Fatalf("create: ran %d, %v", ran, err)
	}
	s.answers = []string{"", calls("add", "{}"), said("done")}
	request := hello()
	request.ToolChoice = "required"
	result, err := client.RunChatCompletion(context.Background(), request, RunChatOptions{})
	if err != nil || ran != 1 || result.FinalText != "done" || result.StoppedBy != "stop" {
		t.Fatalf("run: ran %d, %+v, %v", ran, result, err)
	}
	first, second := s.requests()[1], s.requests()[2]
	mustEqual(t, first["tools"], second["tools"])
	mustEqual(t, []any{first["tool_choice"], second["tool_choice"]}, []any{"required", "auto"})
	mustEqual(t, second["messages"].([]any)[2],
		map[string]any{"role": "tool", "tool_call_id": "call_1", "name": "add", "content": "three"})
}

func TestCheck86MissingHandler(t *testing.T) {
	client, s := scripted(t, []string{calls("add", "{}"), said("so")})
	request := hello()
	request.Tools = []ChatTool{{Type: "function", Function: ChatToolFunction{Name: "add"}}}
	result, err := client.RunChatCompletion(context.Background(), request, RunChatOptions{})
	if err != nil {
		t.Fatal(err)
	}
	mustEqual(t, result.Steps[0].ToolResults, []ToolCallResult{
		{ToolCallID: "call_1", ToolName: "add", Content: "Tool not found: add", IsError: true},
	})
	mustEqual(t, s.requests()[1]["messages"].([]any)[2].(map[string]any)["content"], "Tool not found: add")
}

func TestCheck88PartialResult(t *testing.T) {
	turns, ran := 0, 0
	client := fake(t, func(w http.ResponseWriter, r *http.Request) {
		if turns++; turns > 1 {
			w.Header().Set("X-Request-ID", "req-9")
			w.WriteHeader(503)
			return
		}
		var body map[string]any
		_ = json.NewDecoder(r.Body).Decode(&body)
		(&script{answers: []string{calls("add", "{}")}}).ServeHTTP(w, r)
	}, WithToolHandler("add", "", nil, func(context.Context, any, ToolExecutionContext) (any, error) {
		ran++
		return nil, nil
	}))
	result, err := client.RunChatCompletion(context.Background(), hello(), RunChatOptions{})
	var apiErr *APIError
	if !errors.As(err, &apiErr) || apiErr.RequestID != "req-9" || ran != 1 || turns != 2 {
		t.Fatalf("%v, ran %d, turns %d", err, ran, turns)
	}
	if result == nil || len(result.Steps) != 1 || len(result.Messages) != 3 || result.StoppedBy != "error" ||
		result.FinishReason != "error" {
		t.Fatalf("got %+v", result)
	}
}

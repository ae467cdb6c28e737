package joytoken_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	joytoken "joytoken.example/sdk-go"
)

// gateway stands for one: it answers every call with the next of these bodies, the last one again and again.
func gateway(bodies ...string) *httptest.Server {
	calls := 0
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := bodies[min(calls, len(bodies)-1)]
		calls++
		if r.Header.Get("Accept") == "text/event-stream" {
			w.Header().Set("Content-Type", "text/event-stream")
		}
		if body == "402" {
			w.WriteHeader(http.StatusPaymentRequired)
			body = `{"error":{"message":"the wallet is empty","type":"insufficient_quota","code":"wallet_empty"}}`
		}
		_, _ = io.WriteString(w, body)
	}))
}

func clientOf(server *httptest.Server, options ...joytoken.Option) *joytoken.Client {
	base := []joytoken.Option{joytoken.WithAPIKey("jt_test_key"), joytoken.WithAPIBaseURL(server.URL)}
	return joytoken.NewClient(append(base, options...)...)
}

const answer = `{"id":"c1","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello!"},
"finish_reason":"stop"}],"metadata":{"request_id":"req-1","tier":"standard","billing":{"credits_used":"0.001200",
"input_tokens":3,"output_tokens":2}}}`

var question = joytoken.ChatCompletionRequest{
	Model:    joytoken.ModelAuto,
	Messages: []joytoken.ChatMessage{{Role: "user", Content: "Hello!"}},
}

func ExampleClient_CreateChatCompletion() {
	server := gateway(answer)
	defer server.Close()
	reply, err := clientOf(server).CreateChatCompletion(context.Background(), question)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(reply.Text())
	m := reply.CallMetadata()
	fmt.Println(m.Tier, m.Billing.CreditsUsed, m.RequestID)
	// Output:
	// Hello!
	// standard 0.001200 req-1
}

func ExampleChatCompletionStream_All() {
	server := gateway(`data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}

data: {"choices":[{"index":0,"delta":{"content":"lo!"}}]}

data: {"choices":[],"metadata":{"request_id":"req-1","tier":"economy"}}

data: [DONE]

`)
	defer server.Close()
	stream, err := clientOf(server).StreamChatCompletion(context.Background(), question)
	if err != nil {
		fmt.Println(err)
		return
	}
	for chunk, err := range stream.All() {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(chunk.Text())
		if m := chunk.CallMetadata(); m != nil {
			fmt.Printf(" [%s]\n", m.Tier)
		}
	}
	// Output: Hello! [economy]
}

func ExampleClient_RunChatCompletion() {
	server := gateway(`{"choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[{"id":"call_1",
"type":"function","function":{"name":"weather","arguments":"{\"city\":\"Oslo\"}"}}]},"finish_reason":"tool_calls"}]}`,
		`{"choices":[{"index":0,"message":{"role":"assistant","content":"It snows."},"finish_reason":"stop"}]}`)
	defer server.Close()
	client := clientOf(server, joytoken.WithToolHandler("weather", "The weather of a city.", map[string]any{
		"type":       "object",
		"properties": map[string]any{"city": map[string]any{"type": "string"}},
		"required":   []string{"city"},
	}, func(_ context.Context, input any, _ joytoken.ToolExecutionContext) (any, error) {
		return map[string]any{"city": input.(map[string]any)["city"], "sky": "snow"}, nil
	}))
	result, err := client.RunChatCompletion(context.Background(), question, joytoken.RunChatOptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Steps[0].ToolResults[0].Content)
	fmt.Println(result.FinalText)
	// Output:
	// {"city":"Oslo","sky":"snow"}
	// It snows.
}

func ExampleAPIError() {
	server := gateway("402")
	defer server.Close()
	_, err := clientOf(server).CreateChatCompletion(context.Background(), question)
	var apiErr *joytoken.APIError
	if errors.As(err, &apiErr) {
		fmt.Println(apiErr.StatusCode, apiErr.Code, apiErr.Reason)
	}
	// Output: 402 insufficient_quota wallet_empty
}

func ExampleWithCall() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Header.Get("Idempotency-Key"), r.Header.Get("X-JoyToken-Run-Id"), r.Header.Get("X-Team"))
		_, _ = io.WriteString(w, answer)
	}))
	defer server.Close()
	ctx := joytoken.WithCall(context.Background(), joytoken.CallOptions{
		IdempotencyKey: "order-4711",
		Headers:        map[string]string{"X-Team": "blue"},
		Run:            &joytoken.Run{ID: "nightly-1"},
		Timeout:        10 * time.Second,
	})
	if _, err := clientOf(server).CreateChatCompletion(ctx, question); err != nil {
		fmt.Println(err)
	}
	// Output: order-4711 nightly-1 blue
}

func ExampleClient_CreateMessage() {
	server := gateway(answer)
	defer server.Close()
	message, err := clientOf(server).CreateMessage(context.Background(), joytoken.MessageRequest{
		Model:     joytoken.ModelAuto,
		MaxTokens: 100,
		System:    "Be brief.",
		Messages:  []joytoken.MessageParam{{Role: "user", Content: "Hello!"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(message.Text(), message.StopReason, message.Usage.OutputTokens)
	// Output: Hello! end_turn 2
}

package joytoken

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

const testKey = "jt_test_0123456789"

// fake is a client of a server that answers so; the server is the OpenAI base and the API base.
func fake(t *testing.T, answer http.HandlerFunc, options ...Option) *Client {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	base := []Option{
		WithAPIKey(testKey), WithAPIBaseURL(server.URL), WithOpenAIBaseURL(server.URL),
		WithHTTPClient(server.Client()),
	}
	return NewClient(append(base, options...)...)
}

// event sends one event of a stream.
func event(w http.ResponseWriter, data string) {
	if w.Header().Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "text/event-stream")
	}
	fmt.Fprintf(w, "data: %s\n\n", strings.ReplaceAll(data, "\n", "\ndata: "))
	if flusher, ok := w.(http.Flusher); ok {
		flusher.Flush()
	}
}

// script answers each request with the next of its answers, the last one again and again, and keeps the requests.
type script struct {
	mu      sync.Mutex
	answers []string
	bodies  []map[string]any
	headers []http.Header
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var body map[string]any
	data, _ := io.ReadAll(r.Body)
	_ = json.Unmarshal(data, &body)
	s.bodies, s.headers = append(s.bodies, body), append(s.headers, r.Header)
	answer := s.answers[min(len(s.bodies), len(s.answers))-1]
	if body["stream"] == true {
		event(w, answer)
		event(w, "[DONE]")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, answer)
}

func (s *script) requests() []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bodies
}

func scripted(t *testing.T, answers []string, options ...Option) (*Client, *script) {
	t.Helper()
	s := &script{answers: answers}
	return fake(t, s.ServeHTTP, options...), s
}

// said is a whole chat answer.
func said(content string) string {
	return fmt.Sprintf(`{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,`+
		`"message":{"role":"assistant","content":%q},"finish_reason":"stop"}]}`, content)
}

// calls is a whole chat answer that calls a tool.
func calls(name, arguments string) string {
	return fmt.Sprintf(`{"id":"c","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":null,`+
		`"tool_calls":[{"id":"call_1","type":"function","function":{"name":%q,"arguments":%q},`+
		`"extra_content":{"google":{"thought_signature":"sig"}}}]},"finish_reason":"tool_calls"}]}`, name, arguments)
}

func hello() ChatCompletionRequest {
	return ChatCompletionRequest{Model: ModelAuto, Messages: []ChatMessage{{Role: "user", Content: "hi"}}}
}

package agent_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	joytoken "joytoken.example/sdk-go"
	"joytoken.example/sdk-go/agent"
)

// script is a provider that gives answers in order, and keeps what it was asked.
type script struct {
	mu       sync.Mutex
	answers  []any // agent.ModelResponse, or an error
	requests []agent.ModelRequest
}

func scripted(answers ...any) *script { return &script{answers: answers} }

func (s *script) Complete(ctx context.Context, request agent.ModelRequest) (agent.ModelResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, request)
	if len(s.answers) == 0 {
		return agent.ModelResponse{}, errors.New("the script is over")
	}
	next := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	if err, failed := next.(error); failed {
		return agent.ModelResponse{}, err
	}
	return next.(agent.ModelResponse), ctx.Err()
}

func (s *script) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

// says is an answer of text.
func says(text string) agent.ModelResponse {
	return agent.ModelResponse{Message: joytoken.ChatMessage{Role: "assistant", Content: text}}
}

// calls is an answer that calls tools: pairs of a name and arguments. The ids are call_1, call_2, …
func calls(pairs ...string) agent.ModelResponse {
	message := joytoken.ChatMessage{Role: "assistant"}
	for i := 0; i < len(pairs); i += 2 {
		message.ToolCalls = append(message.ToolCalls, joytoken.ToolCall{
			ID: fmt.Sprintf("call_%d", i/2+1), Type: "function",
			Function: joytoken.ToolFunction{Name: pairs[i], Arguments: pairs[i+1]},
		})
	}
	return agent.ModelResponse{Message: message}
}

// charged is an answer with usage, and what the gateway says of it.
func charged(answer agent.ModelResponse, requestID, credits string) agent.ModelResponse {
	answer.Usage = &joytoken.Usage{PromptTokens: 10, CompletionTokens: 5, TotalTokens: 15}
	answer.Metadata = map[string]any{"request_id": requestID, "billing": map[string]any{"credits_used": credits}}
	return answer
}

// textTool returns a text.
func textTool(name, text string) agent.AgentTool {
	return agent.AgentTool{Name: name, Execute: func(context.Context, any, agent.ToolExecutionContext) (any, error) {
		return text, nil
	}}
}

// gatewayCall is a request as a fake gateway saw it.
type gatewayCall struct {
	header http.Header
	body   map[string]any
	raw    string
}

// fakeGateway gives answers in order, the last one again and again. One that hangs says nothing more until its caller leaves,
// which is told to gone.
type fakeGateway struct {
	*httptest.Server
	mu    sync.Mutex
	calls []gatewayCall
	gone  chan struct{}
}

type gatewayAnswer struct {
	status     int
	body       string
	retryAfter string
	hang       bool
}

func newFakeGateway(t *testing.T, answers ...gatewayAnswer) *fakeGateway {
	t.Helper()
	gateway := &fakeGateway{gone: make(chan struct{}, 16)}
	gateway.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		data, _ := io.ReadAll(request.Body)
		call := gatewayCall{header: request.Header.Clone(), raw: string(data)}
		_ = json.Unmarshal(data, &call.body)
		gateway.mu.Lock()
		answer := answers[min(len(gateway.calls), len(answers)-1)]
		gateway.calls = append(gateway.calls, call)
		gateway.mu.Unlock()
		if call.body["stream"] == true {
			w.Header().Set("Content-Type", "text/event-stream")
		} else {
			w.Header().Set("Content-Type", "application/json")
		}
		if answer.status != 0 {
			w.Header().Set("Content-Type", "application/json")
			if answer.retryAfter != "" {
				w.Header().Set("Retry-After", answer.retryAfter)
			}
			w.WriteHeader(answer.status)
		}
		_, _ = io.WriteString(w, answer.body)
		if answer.hang {
			w.(http.Flusher).Flush()
			<-request.Context().Done()
			gateway.gone <- struct{}{}
		}
	}))
	t.Cleanup(gateway.Close)
	return gateway
}

func (g *fakeGateway) seen() []gatewayCall {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]gatewayCall{}, g.calls...)
}

func (g *fakeGateway) client() *joytoken.Client {
	return joytoken.NewClient(joytoken.WithAPIKey("jt_test"), joytoken.WithAPIBaseURL(g.URL))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// textOf is a value as JSON.
func textOf(value any) string {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(data)
}

package joytoken

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// callInput is how the vectors tell a call.
type callInput struct {
	Call           string            `json:"call"`
	Request        json.RawMessage   `json:"request"`
	Locale         string            `json:"locale"`
	Key            json.RawMessage   `json:"key"`
	DefaultHeaders map[string]string `json:"default_headers"`
	Headers        map[string]string `json:"headers"`
	Idempotency    *bool             `json:"idempotency"`
	IdempotencyKey string            `json:"idempotency_key"`
	Run            *struct {
		ID, ParentID, Workflow, Budget string
		Step                           any
	} `json:"run"`

	MaxRetries       int             `json:"max_retries"`
	Attempt          int             `json:"attempt"`
	Status           int             `json:"status"`
	Body             json.RawMessage `json:"body"`
	Transport        string          `json:"transport"`
	RetryAfterDateIn *int            `json:"retry_after_date_in_s"`
}

func (in callInput) options() []Option {
	key := testKey
	if in.Key != nil {
		key = ""
		_ = json.Unmarshal(in.Key, &key)
	}
	options := []Option{WithAPIKey(key)}
	for name, v := range in.DefaultHeaders {
		options = append(options, WithHeader(name, v))
	}
	if in.Idempotency != nil {
		options = append(options, WithIdempotency(*in.Idempotency))
	}
	return options
}

func (in callInput) context() context.Context {
	call := CallOptions{IdempotencyKey: in.IdempotencyKey, Headers: in.Headers}
	if in.Run != nil {
		call.Run = &Run{ID: in.Run.ID, ParentID: in.Run.ParentID, Workflow: in.Run.Workflow, Budget: in.Run.Budget}
		if in.Run.Step != nil {
			call.Run.Step = fmt.Sprint(in.Run.Step)
		}
	}
	return WithCall(context.Background(), call)
}

// make makes the call; a stream is read to its end.
func (in callInput) make(t *testing.T, ctx context.Context, c *Client) (err error) {
	t.Helper()
	request := in.Request
	if request == nil {
		request = json.RawMessage(`{"model":"auto","messages":[{"role":"user","content":"hi"}],"tools":[]}`)
	}
	switch in.Call {
	case "chat":
		_, err = c.CreateChatCompletion(ctx, read[ChatCompletionRequest](t, request))
	case "chat_stream":
		var stream *ChatCompletionStream
		if stream, err = c.StreamChatCompletion(ctx, read[ChatCompletionRequest](t, request)); err == nil {
			err = readAll(stream.Recv)
		}
	case "responses":
		_, err = c.CreateResponse(ctx, read[ResponseRequest](t, request))
	case "responses_stream":
		var stream *ResponseStream
		if stream, err = c.StreamResponse(ctx, read[ResponseRequest](t, request)); err == nil {
			err = readAll(stream.Recv)
		}
	case "messages":
		_, err = c.CreateMessage(ctx, read[MessageRequest](t, request))
	case "messages_stream":
		var stream *MessageStream
		if stream, err = c.StreamMessage(ctx, read[MessageRequest](t, request)); err == nil {
			err = readAll(stream.Recv)
		}
	case "images_generate":
		_, err = c.GenerateImage(ctx, read[ImageGenerationRequest](t, request))
	case "models":
		_, err = c.ListModelsWithOptions(ctx, ListModelsOptions{Locale: ModelLocale(in.Locale)})
	case "models_meta":
		_, err = c.GetModelMeta(ctx)
	case "pricing":
		_, err = c.GetPricing(ctx)
	default:
		t.Fatalf("Go has no call %q", in.Call)
	}
	return err
}

func readAll[T any](recv func() (T, error)) error {
	for {
		if _, err := recv(); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}

// serve answers any call well, and hands its request over.
func serve(seen chan<- *http.Request) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		seen <- r
		if r.Header.Get("Accept") == "text/event-stream" {
			event(w, `{"id":"c","type":"response.completed","choices":[]}`)
			event(w, "[DONE]")
			return
		}
		_, _ = io.WriteString(w, `{"id":"c","choices":[{"message":{"role":"assistant","content":"hi"}}],"data":[]}`)
	}
}

func TestVectorsValidation(t *testing.T) {
	eachVector(t, "validation", func(t *testing.T, c vectorCase) {
		in, want := read[callInput](t, c.Input), c.expected(t).(map[string]any)
		seen := make(chan *http.Request, 9)
		err := in.make(t, in.context(), fake(t, serve(seen), in.options()...))
		if sent := len(seen) > 0; sent != want["sent"] {
			t.Fatalf("sent: %v, error: %v", sent, err)
		}
		if text, _ := want["error"].(string); text != "" &&
			(err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(text))) {
			t.Fatalf("got %v", err)
		}
	})
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

func TestVectorsHeaders(t *testing.T) {
	eachVector(t, "headers", func(t *testing.T, c vectorCase) {
		in := read[callInput](t, c.Input)
		seen := make(chan *http.Request, 9)
		if err := in.make(t, in.context(), fake(t, serve(seen), in.options()...)); err != nil && in.Call != "pricing" {
			t.Fatal(err)
		}
		header := (<-seen).Header
		want := c.expected(t).(map[string]any)
		fill := strings.NewReplacer("{key}", testKey, "{user_agent}", userAgent)
		for name, v := range want["present"].(map[string]any) {
			got := header.Get(name)
			if v == "{uuid}" {
				if !uuid.MatchString(got) {
					t.Fatalf("%s is %q", name, got)
				}
			} else if got != fill.Replace(v.(string)) {
				t.Fatalf("%s is %q, want %q", name, got, v)
			}
		}
		for _, name := range want["absent"].([]any) {
			if values := header.Values(name.(string)); len(values) > 0 {
				t.Fatalf("%s is there: %q", name, values)
			}
		}
	})
}

func TestVectorsHostileHeaders(t *testing.T) {
	eachVector(t, "hostile-headers", func(t *testing.T, c vectorCase) {
		in := read[callInput](t, c.Input)
		seen := make(chan *http.Request, 9)
		err := in.make(t, in.context(), fake(t, serve(seen), in.options()...))
		if len(seen) > 0 || err == nil {
			t.Fatalf("sent: %d, error: %v", len(seen), err)
		}
		if strings.Contains(err.Error(), testKey) || strings.Contains(err.Error(), "jt_live") {
			t.Fatalf("the key is in %q", err)
		}
	})
}

func TestVectorsErrors(t *testing.T) {
	eachVector(t, "errors", func(t *testing.T, c vectorCase) {
		client := fake(t, func(w http.ResponseWriter, _ *http.Request) {
			for name, v := range c.Headers {
				w.Header().Set(name, v)
			}
			w.WriteHeader(c.Status)
			_, _ = io.WriteString(w, bodyText(t, c.Body))
		})
		_, err := client.CreateChatCompletion(context.Background(), hello())
		var apiErr *APIError
		if !errors.As(err, &apiErr) || !IsAPIError(fmt.Errorf("wrapped: %w", err)) {
			t.Fatalf("got %v", err)
		}
		want := c.expected(t).(map[string]any)
		for name, got := range map[string]string{
			"code": string(apiErr.Code), "type": apiErr.Type, "reason": apiErr.Reason, "request_id": apiErr.RequestID,
		} {
			if wanted, _ := want[name].(string); got != wanted {
				t.Fatalf("%s is %q, want %v", name, got, want[name])
			}
		}
		prefix := fmt.Sprintf("joytoken api request failed with status %d", c.Status)
		if apiErr.StatusCode != c.Status || !strings.HasPrefix(err.Error(), prefix) {
			t.Fatalf("got %d: %v", apiErr.StatusCode, err)
		}
	})
}

// bodyText is a body as it is sent.
func bodyText(t *testing.T, body json.RawMessage) string {
	t.Helper()
	switch v := value(t, body).(type) {
	case nil:
		return ""
	case string:
		return v
	case map[string]any:
		if text, ok := v["$json"].(string); ok {
			return text
		}
	}
	return string(body)
}

func TestVectorsRetries(t *testing.T) {
	eachVector(t, "retries", func(t *testing.T, c vectorCase) {
		in, want := read[callInput](t, c.Input), c.expected(t).(map[string]any)
		ctx, cancel := context.WithCancel(in.context())
		defer cancel()
		var err error
		stream := strings.HasSuffix(in.Call, "_stream")
		switch in.Transport {
		case "":
			header := http.Header{}
			for name, v := range in.Headers {
				header.Set(name, v)
			}
			if in.RetryAfterDateIn != nil {
				date := time.Now().Add(time.Duration(*in.RetryAfterDateIn) * time.Second)
				header.Set("Retry-After", date.UTC().Format(http.TimeFormat))
			}
			err = newAPIError(in.Status, header, in.Body)
		case "cut_in_stream":
			err = &APIError{Code: ErrorCodeNetwork, cause: io.ErrUnexpectedEOF}
		case "refused":
			cause := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
			err = &APIError{Code: ErrorCodeNetwork, cause: cause}
		case "cancelled":
			cancel()
			err = NewClient().transportError(ctx, ctx, context.Canceled)
		default:
			err = &APIError{Code: ErrorCodeNetwork, cause: io.ErrUnexpectedEOF}
		}
		retry := in.Attempt < in.MaxRetries && retryable(ctx, err, stream)
		if retry != want["retry"] {
			t.Fatalf("retry: %v", retry)
		}
		if !retry {
			return
		}
		var apiErr *APIError
		errors.As(err, &apiErr)
		least, most := want["delay_ms_min"].(float64), want["delay_ms_max"].(float64)
		for range 200 {
			delay := float64(retryDelay(in.Attempt, apiErr.ResponseHeaders, time.Now())) / float64(time.Millisecond)
			if delay < least || delay > most {
				t.Fatalf("delay of %v ms", delay)
			}
		}
	})
}

func TestVectorsIdempotencyKeys(t *testing.T) {
	eachVector(t, "idempotency-keys", func(t *testing.T, c vectorCase) {
		in := read[struct {
			Key  string
			Run  string
			Call int
		}](t, c.Input)
		if in.Run != "" {
			return // the keys of agents: package agent runs those
		}
		ctx := withStepKey(WithCall(context.Background(), CallOptions{IdempotencyKey: in.Key}), in.Call)
		mustEqual(t, callOptions(ctx).IdempotencyKey, c.expected(t))
	})
}

// What the vectors say of retries, over real connections.
func TestRetriesKeepTheKey(t *testing.T) {
	var keys []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys = append(keys, r.Header.Get("Idempotency-Key"))
		switch len(keys) {
		case 1:
			w.WriteHeader(503)
		case 2:
			w.WriteHeader(409)
			_, _ = io.WriteString(w, `{"error":{"code":"idempotency_in_progress"}}`)
		case 3:
			connection, _, _ := w.(http.Hijacker).Hijack()
			connection.Close()
		default:
			_, _ = io.WriteString(w, said("hi"))
		}
	}))
	defer server.Close()
	client := NewClient(WithAPIKey(testKey), WithOpenAIBaseURL(server.URL), WithMaxRetries(3))
	client.sleep = func(context.Context, time.Duration) error { return nil }
	answer, err := client.CreateChatCompletion(context.Background(), hello())
	if err != nil || answer.Text() != "hi" {
		t.Fatalf("%v, %v", answer, err)
	}
	if len(keys) != 4 || !uuid.MatchString(keys[0]) || keys[1] != keys[0] || keys[2] != keys[0] || keys[3] != keys[0] {
		t.Fatalf("keys %q", keys)
	}
	if _, err := client.CreateChatCompletion(context.Background(), hello()); err != nil || keys[4] == keys[0] {
		t.Fatalf("another call has the same key: %q, %v", keys, err)
	}
}

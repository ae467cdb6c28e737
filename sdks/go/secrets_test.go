package joytoken

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestTheKeyIsNowhere(t *testing.T) {
	echoing := fake(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(400)
		_, _ = io.WriteString(w, `{"error":{"message":"bad header `+r.Header.Get("Authorization")+`"}}`)
	})
	_, echoed := echoing.CreateChatCompletion(context.Background(), hello())
	_, failed := NewClient(WithAPIKey(testKey), WithHTTPClient(failingClient{})).
		CreateChatCompletion(context.Background(), hello())
	_, refused := NewClient(WithAPIKey(testKey), WithOpenAIBaseURL("http://127.0.0.1:1")).
		CreateChatCompletion(context.Background(), hello())
	_, address := NewClient(WithAPIKey(testKey), WithOpenAIBaseURL(":")).
		CreateChatCompletion(context.Background(), hello())
	_, hostile := NewClient(WithAPIKey("a\n"+testKey)).CreateChatCompletion(context.Background(), hello())
	client := NewClient(WithAPIKey(testKey), WithHeader("X-Secret", testKey))
	data, err := json.Marshal(client)
	if err != nil {
		t.Fatal(err)
	}
	texts := []string{string(data), client.String()}
	nested := struct{ inner Client }{*NewClient(WithAPIKey(testKey))}
	for _, v := range []any{client, *client, nested, &nested, echoed, failed, refused, address, hostile} {
		if v == nil {
			t.Fatal("there is no error")
		}
		texts = append(texts, fmt.Sprintf("%v %+v %#v %s %q %x %d", v, v, v, v, v, v, v))
	}
	for _, text := range texts {
		if strings.Contains(text, testKey) || strings.Contains(text, fmt.Sprintf("%x", testKey)) {
			t.Fatalf("the key is in %q", text)
		}
	}
}

func TestHostileHeadersAreNamed(t *testing.T) {
	for name, option := range map[string]Option{
		"X-Team":        WithHeader("X-Team", "a\r\nX-Evil: 1"),
		"Authorization": WithAPIKey("k\r\nX-Evil: 1"),
		`"X Team"`:      WithHeader("X Team", "a"),
	} {
		_, err := NewClient(WithAPIKey(testKey), option).CreateChatCompletion(context.Background(), hello())
		if err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "Evil") {
			t.Fatalf("%s: %v", name, err)
		}
	}
}

func TestCallOptionsAreChecked(t *testing.T) {
	for what, options := range map[string]CallOptions{
		"IdempotencyKey":      {IdempotencyKey: "a b"},
		"X-JoyToken-Workflow": {Run: &Run{ID: "r", Workflow: "a\nb"}},
		"Run needs an ID":     {Run: &Run{Workflow: "nightly"}},
		"OnDisconnect":        {OnDisconnect: "linger"},
	} {
		ctx := WithCall(context.Background(), options)
		_, err := NewClient(WithAPIKey(testKey)).CreateChatCompletion(ctx, hello())
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Fatalf("%s: %v", what, err)
		}
	}
}

func TestCallOptionsAreMerged(t *testing.T) {
	retries := 3
	ctx := WithCall(context.Background(), CallOptions{
		Headers: map[string]string{"A": "1", "B": "1"}, Run: &Run{ID: "r"}, MaxRetries: &retries,
	})
	ctx = WithCall(ctx, CallOptions{IdempotencyKey: "k", Headers: map[string]string{"B": "2"}, OnDisconnect: "finish"})
	got := callOptions(ctx)
	if got.Run.ID != "r" || got.IdempotencyKey != "k" || *got.MaxRetries != 3 || got.OnDisconnect != OnDisconnectFinish {
		t.Fatalf("got %+v", got)
	}
	mustEqual(t, got.Headers, map[string]string{"A": "1", "B": "2"})
}

// A body of any size is read no further than its bound.
func TestBodiesAreBounded(t *testing.T) {
	if _, err := readBounded(&endless{'x'}, 1<<16); err == nil || !strings.Contains(err.Error(), "over 65536 bytes") {
		t.Fatalf("got %v", err)
	}
	client := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(500)
		_, _ = io.CopyN(w, &endless{'x'}, 8<<20)
	})
	_, err := client.CreateChatCompletion(context.Background(), hello())
	apiErr, ok := err.(*APIError)
	if !ok || len(apiErr.Body.(string)) != errorBytesMax || len(err.Error()) > 2*bodyShown {
		t.Fatalf("%T, %d", err, len(err.Error()))
	}
}

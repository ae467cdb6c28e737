package joytoken

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

const chunkText = `{"id":"c","choices":[{"index":0,"delta":{"content":"a"}}]}`

// watched is a server that knows its open connections, and a client whose transport is its own.
type watched struct {
	client *Client
	mu     sync.Mutex
	open   map[net.Conn]bool
}

func watch(t *testing.T, answer http.HandlerFunc, options ...Option) *watched {
	t.Helper()
	w := &watched{open: map[net.Conn]bool{}}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server see that a caller has gone
		answer(w, r)
	}))
	server.Config.ConnState = func(connection net.Conn, state http.ConnState) {
		w.mu.Lock()
		defer w.mu.Unlock()
		switch state {
		case http.StateActive:
			w.open[connection] = true
		case http.StateIdle, http.StateClosed, http.StateHijacked:
			delete(w.open, connection)
		}
	}
	server.Start()
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.CloseClientConnections()
		server.Close()
	})
	base := []Option{
		WithAPIKey(testKey), WithAPIBaseURL(server.URL), WithOpenAIBaseURL(server.URL),
		WithHTTPClient(&http.Client{Transport: transport}),
	}
	w.client = NewClient(append(base, options...)...)
	return w
}

func (w *watched) busy() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.open)
}

// eventually waits until something holds, for a generous while.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for range 1000 {
		if holds() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}

// hang sends a chunk and then nothing, until the caller has gone.
func hang(w http.ResponseWriter, r *http.Request) {
	event(w, chunkText)
	<-r.Context().Done()
}

func opened(t *testing.T, w *watched, ctx context.Context) *ChatCompletionStream {
	t.Helper()
	stream, err := w.client.StreamChatCompletion(ctx, hello())
	if err != nil {
		t.Fatal(err)
	}
	if chunk, err := stream.Recv(); err != nil || chunk.Text() != "a" {
		t.Fatalf("%v, %v", chunk, err)
	}
	return stream
}

func TestStreamCloseTwiceAndRecvAfter(t *testing.T) {
	w := watch(t, hang)
	stream := opened(t, w, context.Background())
	if stream.Close() != nil || stream.Close() != nil {
		t.Fatal("Close failed")
	}
	for range 2 {
		if _, err := stream.Recv(); err != ErrStreamClosed {
			t.Fatalf("got %v", err)
		}
	}
	eventually(t, "the connection is closed", func() bool { return w.busy() == 0 })
}

func TestStreamCloseWhileRecvBlocks(t *testing.T) {
	w := watch(t, hang)
	stream := opened(t, w, context.Background())
	result := make(chan error)
	go func() {
		_, err := stream.Recv()
		result <- err
	}()
	time.Sleep(20 * time.Millisecond)
	stream.Close()
	if err := <-result; err != ErrStreamClosed {
		t.Fatalf("got %v", err)
	}
}

func TestStreamEndsWithItsContext(t *testing.T) {
	w := watch(t, hang)
	ctx, cancel := context.WithCancel(context.Background())
	stream := opened(t, w, ctx)
	cancel()
	_, err := stream.Recv()
	if !errors.Is(err, context.Canceled) || IsAPIError(err) {
		t.Fatalf("got %v", err)
	}
	if _, again := stream.Recv(); again != err {
		t.Fatalf("then %v", again)
	}
	eventually(t, "the connection is closed", func() bool { return w.busy() == 0 })
}

// A stream that nobody reads or closes ends with its context all the same.
func TestStreamThatIsForgottenEndsWithItsContext(t *testing.T) {
	w := watch(t, hang)
	ctx, cancel := context.WithCancel(context.Background())
	opened(t, w, ctx)
	cancel()
	eventually(t, "the connection is closed", func() bool { return w.busy() == 0 })
}

func TestStreamTimeoutCoversTheWhole(t *testing.T) {
	lively := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			event(w, chunkText)
			time.Sleep(5 * time.Millisecond)
		}
	}
	w := watch(t, lively, WithTimeout(100*time.Millisecond))
	stream := opened(t, w, context.Background())
	err := readAll(stream.Recv)
	var apiErr *APIError
	if !errors.As(err, &apiErr) || apiErr.Code != ErrorCodeTimeout || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v", err)
	}
	eventually(t, "the connection is closed", func() bool { return w.busy() == 0 })
	// One call can have more, and less.
	ctx := WithCall(context.Background(), CallOptions{Timeout: -1})
	stream = opened(t, w, ctx)
	for range 40 {
		if _, err := stream.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	stream.Close()
}

func TestStreamIsCutByTheServer(t *testing.T) {
	w := watch(t, func(w http.ResponseWriter, _ *http.Request) {
		event(w, chunkText)
		connection, _, _ := w.(http.Hijacker).Hijack()
		connection.Close()
	}, WithMaxRetries(3))
	stream := opened(t, w, context.Background())
	_, err := stream.Recv()
	var apiErr *APIError
	if !errors.As(err, &apiErr) || apiErr.Code != ErrorCodeNetwork {
		t.Fatalf("got %v", err)
	}
}

// A server that ends the events, and not the body, is not waited for.
func TestStreamEndsAtDone(t *testing.T) {
	w := watch(t, func(w http.ResponseWriter, r *http.Request) {
		event(w, chunkText)
		event(w, "[DONE]")
		<-r.Context().Done()
	})
	stream := opened(t, w, context.Background())
	for range 2 {
		if _, err := stream.Recv(); err != io.EOF {
			t.Fatalf("got %v", err)
		}
	}
	eventually(t, "the connection is closed", func() bool { return w.busy() == 0 })
}

func TestStreamAllClosesWhereItIsLeft(t *testing.T) {
	w := watch(t, hang)
	stream, err := w.client.StreamChatCompletion(context.Background(), hello())
	if err != nil {
		t.Fatal(err)
	}
	for chunk, err := range stream.All() {
		if err != nil || chunk.Text() != "a" {
			t.Fatal(chunk, err)
		}
		break
	}
	if _, err := stream.Recv(); err != ErrStreamClosed {
		t.Fatalf("got %v", err)
	}
	eventually(t, "the connection is closed", func() bool { return w.busy() == 0 })
}

// Many streams, ended in every way, leave no goroutine and no connection.
func TestStreamsLeakNothing(t *testing.T) {
	w := watch(t, func(w http.ResponseWriter, r *http.Request) {
		event(w, chunkText)
		if r.Header.Get("X-Way") == "whole" {
			event(w, "[DONE]")
			return
		}
		<-r.Context().Done()
	})
	before := runtime.NumGoroutine()
	var all sync.WaitGroup
	for i := range 60 {
		all.Add(1)
		go func() {
			defer all.Done()
			way := []string{"whole", "closed", "cancelled"}[i%3]
			ctx, cancel := context.WithCancel(WithCall(context.Background(), CallOptions{
				Headers: map[string]string{"X-Way": way},
			}))
			defer cancel()
			stream, err := w.client.StreamChatCompletion(ctx, hello())
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := stream.Recv(); err != nil {
				t.Error(err)
			}
			switch way {
			case "whole":
				if err := readAll(stream.Recv); err != nil {
					t.Error(err)
				}
			case "closed":
				stream.Close()
			case "cancelled":
				cancel()
			}
		}()
	}
	all.Wait()
	eventually(t, "no connection is busy", func() bool { return w.busy() == 0 })
	w.client.httpClient.(*http.Client).CloseIdleConnections()
	eventually(t, fmt.Sprintf("back to %d goroutines", before), func() bool { return runtime.NumGoroutine() <= before+1 })
}

func TestStreamsReuseTheirConnection(t *testing.T) {
	addresses := map[string]bool{}
	w := watch(t, func(w http.ResponseWriter, r *http.Request) {
		addresses[r.RemoteAddr] = true
		event(w, chunkText)
		event(w, "[DONE]")
	})
	for range 5 {
		stream := opened(t, w, context.Background())
		if err := readAll(stream.Recv); err != nil {
			t.Fatal(err)
		}
	}
	if len(addresses) != 1 {
		t.Fatalf("%d connections for 5 streams", len(addresses))
	}
}

// A call whose server says nothing ends with its context, and with the client's timeout.
func TestCallsHonourContexts(t *testing.T) {
	silent := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	w := watch(t, silent, WithMaxRetries(3))
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Millisecond)
	defer cancel()
	for name, call := range map[string]func() error{
		"create": func() error { _, err := w.client.CreateChatCompletion(ctx, hello()); return err },
		"stream": func() error { _, err := w.client.StreamChatCompletion(ctx, hello()); return err },
		"run":    func() error { _, err := w.client.RunChatCompletion(ctx, hello(), RunChatOptions{}); return err },
		"models": func() error { _, err := w.client.ListModels(ctx); return err },
	} {
		if err := call(); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("%s: %v", name, err)
		}
	}
	short := WithCall(context.Background(), CallOptions{Timeout: 20 * time.Millisecond, MaxRetries: new(int)})
	_, err := w.client.CreateChatCompletion(short, hello())
	var apiErr *APIError
	if !errors.As(err, &apiErr) || apiErr.Code != ErrorCodeTimeout {
		t.Fatalf("got %v", err)
	}
	eventually(t, "no connection is busy", func() bool { return w.busy() == 0 })
}

func TestStreamOfPlainJSONIsRefused(t *testing.T) {
	client := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, said("hi"))
	})
	_, err := client.StreamChatCompletion(context.Background(), hello())
	if err == nil || !strings.Contains(err.Error(), "plain JSON") {
		t.Fatalf("got %v", err)
	}
}

// failingClient is an HTTPClient that prints what it was given.
type failingClient struct{}

func (failingClient) Do(r *http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("could not send %v", r.Header)
}

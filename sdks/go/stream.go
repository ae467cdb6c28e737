package joytoken

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// drainTime is how long the end of the body is waited for after [DONE], so that the connection can be used again.
	drainTime  = 100 * time.Millisecond
	drainBytes = 4 << 10
)

// eventStream is an answer that is read event by event. It is closed by Close, at its end, and by the end of its context
// or timeout; all of them end the request.
type eventStream struct {
	client    *Client
	callerCtx context.Context
	ctx       context.Context
	cancel    context.CancelFunc
	unguard   func() bool
	response  *http.Response
	closed    atomic.Bool

	mu        sync.Mutex // held while an event is read
	reader    *sseReader
	err       error // how it ended
	requestID string
}

// openStream makes a call whose answer is a stream.
func (c *Client) openStream(ctx context.Context, call callSpec) (*eventStream, error) {
	var stream *eventStream
	err := c.attempts(ctx, call, func(header http.Header) error {
		attemptCtx, cancel := c.bounded(ctx, call)
		response, err := c.send(attemptCtx, ctx, call, header)
		if err == nil {
			err = c.checkStream(ctx, attemptCtx, response)
		}
		if err != nil {
			cancel()
			return err
		}
		stream = &eventStream{
			client: c, callerCtx: ctx, ctx: attemptCtx, cancel: cancel, response: response,
			reader: newSSEReader(response.Body), requestID: requestIDOf(response.Header),
		}
		// A body of an HTTPClient that does not heed contexts is closed all the same.
		stream.unguard = context.AfterFunc(attemptCtx, func() { response.Body.Close() })
		return nil
	})
	return stream, err
}

// checkStream refuses an answer that is plain JSON, which is a failure or no stream at all.
func (c *Client) checkStream(ctx, attemptCtx context.Context, response *http.Response) error {
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if kind != "application/json" {
		return nil
	}
	defer response.Body.Close()
	data, err := readBounded(response.Body, errorBytesMax)
	if err != nil {
		return c.transportError(ctx, attemptCtx, err)
	}
	if err := c.bodyError(response, data); err != nil {
		return err
	}
	return errors.New("joytoken: a stream was asked for, and the answer is plain JSON")
}

// receive reads the next event into a value. After any error the stream is closed, and the error stays.
func (s *eventStream) receive(event any) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed.Load() && s.err == nil {
		s.err = ErrStreamClosed
	}
	if s.err != nil {
		return s.err
	}
	data, err := s.reader.next()
	switch {
	case err == nil && string(data) == "[DONE]":
		s.drain()
		err = io.EOF
	case err == nil:
		err = s.decode(data, event)
	case err != io.EOF || s.ctx.Err() != nil:
		err = s.readError(err)
	}
	if err != nil {
		s.err = err
		_ = s.Close()
	}
	return err
}

func (s *eventStream) readError(err error) error {
	if s.closed.Load() {
		return ErrStreamClosed
	}
	if errors.Is(err, errEventTooLarge) {
		return fmt.Errorf("joytoken: %w", err)
	}
	return s.client.transportError(s.callerCtx, s.ctx, err)
}

// decode reads one event, which must be a JSON object.
func (s *eventStream) decode(data []byte, event any) error {
	if !bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		return errors.New("joytoken: an event of the stream is no JSON object")
	}
	if err := json.Unmarshal(data, event); err != nil {
		return fmt.Errorf("joytoken: an event of the stream is no JSON of the expected shape: %w", err)
	}
	return nil
}

// failure is the error that an event carries; the stream ends with it.
func (s *eventStream) failure(body map[string]any) error {
	data, _ := json.Marshal(map[string]any{"error": body})
	err := newAPIError(s.response.StatusCode, s.response.Header, s.client.redact(data))
	err.RequestID = firstText(err.RequestID, s.requestID)
	s.mu.Lock()
	s.err = err
	s.mu.Unlock()
	_ = s.Close()
	return err
}

// learn gives events without a request id the one that is known, and remembers the one they tell.
func (s *eventStream) learn(metadata map[string]any) (_ map[string]any, inherited bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id := RequestIDFromMetadata(metadata); id != "" {
		s.requestID = id
		return metadata, false
	}
	if s.requestID == "" {
		return metadata, false
	}
	inherited = len(metadata) == 0
	if metadata == nil {
		metadata = map[string]any{}
	}
	metadata["request_id"] = s.requestID
	return metadata, inherited
}

// drain reads the end of the body after [DONE], for a moment.
func (s *eventStream) drain() {
	timer := time.AfterFunc(drainTime, s.cancel)
	defer timer.Stop()
	_, _ = io.CopyN(io.Discard, s.reader.in, drainBytes)
}

// Close ends the stream, and the call with it where it is under way. It can be called at any time, from any goroutine,
// and again.
func (s *eventStream) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	s.unguard()
	s.cancel()
	_ = s.response.Body.Close()
	return nil
}

// all yields what receive gives, up to the end or the first error, and closes the stream.
func all[T any](receive func() (T, error), close func() error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		defer close()
		for {
			event, err := receive()
			if errors.Is(err, io.EOF) || !yield(event, err) || err != nil {
				return
			}
		}
	}
}

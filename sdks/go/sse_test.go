package joytoken

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

// cutAt gives the bytes in two pieces, the second with the end of the body.
type cutAt struct {
	pieces [][]byte
}

func (c *cutAt) Read(p []byte) (int, error) {
	for len(c.pieces) > 0 && len(c.pieces[0]) == 0 {
		c.pieces = c.pieces[1:]
	}
	if len(c.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.pieces[0])
	c.pieces[0] = c.pieces[0][n:]
	return n, nil
}

// streamOf is a chat stream over bytes, without a connection.
func streamOf(body io.Reader) *ChatCompletionStream {
	_, cancel := context.WithCancel(context.Background())
	return &ChatCompletionStream{&eventStream{
		client: NewClient(), callerCtx: context.Background(), ctx: context.Background(), cancel: cancel,
		unguard:  func() bool { return true },
		response: &http.Response{StatusCode: 200, Body: io.NopCloser(body)}, reader: newSSEReader(body),
	}}
}

// rawEvents reads every event as JSON, and how it ended.
func rawEvents(stream *eventStream) (events []any, err error) {
	for {
		var raw json.RawMessage
		if err := stream.receive(&raw); err != nil {
			return events, err
		}
		var event any
		if err := json.Unmarshal(raw, &event); err != nil {
			return events, err
		}
		if fields, ok := event.(map[string]any); ok && fields["error"] != nil {
			data, _ := json.Marshal(fields["error"])
			return events, stream.failure(errorObject(data))
		}
		events = append(events, event)
	}
}

func TestVectorsSSE(t *testing.T) {
	eachVector(t, "sse", func(t *testing.T, c vectorCase) {
		body := []byte(parts(value(t, c.Input)))
		want := c.expected(t).(map[string]any)
		for _, reader := range readersOf(body) {
			events, err := rawEvents(streamOf(reader).stream)
			checkEvents(t, events, want["events"])
			checkEnd(t, err, want)
		}
	})
}

// readersOf cuts bytes at every place; long ones are read byte by byte, and in odd pieces.
func readersOf(body []byte) []io.Reader {
	readers := []io.Reader{bytes.NewReader(body), iotest.OneByteReader(bytes.NewReader(body)),
		iotest.HalfReader(bytes.NewReader(body)), iotest.DataErrReader(bytes.NewReader(body))}
	if len(body) > 4<<10 {
		return readers
	}
	for at := range body {
		readers = append(readers, &cutAt{[][]byte{body[:at], body[at:]}})
	}
	return readers
}

func checkEvents(t *testing.T, events []any, want any) {
	t.Helper()
	if count, ok := want.(map[string]any); ok {
		mustEqual(t, len(events), count["$count"])
		return
	}
	wanted := want.([]any)
	mustEqual(t, len(events), len(wanted))
	for i, event := range wanted {
		fields, got := event.(map[string]any), events[i].(map[string]any)
		for name, v := range fields {
			switch v := v.(type) {
			case map[string]any:
				mustEqual(t, len(got[name].([]any)), v["$count"])
			case []any:
				mustEqual(t, got[name], parts(v))
			default:
				mustEqual(t, got[name], v)
			}
		}
	}
}

func checkEnd(t *testing.T, err error, want map[string]any) {
	t.Helper()
	var apiErr *APIError
	switch want["error"] {
	case nil:
		if err != io.EOF {
			t.Fatalf("ended with %v", err)
		}
	case "json":
		if err == io.EOF || errors.As(err, &apiErr) {
			t.Fatalf("ended with %v", err)
		}
	case "api":
		if !errors.As(err, &apiErr) {
			t.Fatalf("ended with %v", err)
		}
		typ, _ := want["type"].(string)
		reason, _ := want["reason"].(string)
		if apiErr.Type != typ || apiErr.Reason != reason || !strings.Contains(err.Error(), want["message"].(string)) {
			t.Fatalf("got %+v", apiErr)
		}
	}
}

func TestSSEEventTooLarge(t *testing.T) {
	for name, body := range map[string]io.Reader{
		"one line":   io.MultiReader(strings.NewReader("data: "), &endless{'x'}),
		"many lines": &endlessLines{},
		"a comment":  io.MultiReader(strings.NewReader(": "), &endless{'x'}),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := streamOf(body).Recv()
			if err == nil || !strings.Contains(err.Error(), "over 16777216 bytes") {
				t.Fatalf("got %v", err)
			}
		})
	}
}

type endless struct{ char byte }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = e.char
	}
	return len(p), nil
}

type endlessLines struct{}

func (endlessLines) Read(p []byte) (int, error) {
	return copy(p, strings.Repeat("data: 0123456789\n", len(p)/17+1)), nil
}

// Bytes that come one at a time would keep a reader busy for hours that looked at all of them again for each.
func TestSSEIsLinear(t *testing.T) {
	const size = 1 << 20
	for name, body := range map[string]string{
		"one line":   "data: " + strings.Repeat("x", size) + "\n\n",
		"many lines": strings.Repeat("data: x\n", size/8) + "\n",
		"comments":   strings.Repeat(": x\r\n", size/5) + "data: x\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			events, err := sseEvents(iotest.OneByteReader(strings.NewReader(body)))
			if err != io.EOF || len(events) != 1 {
				t.Fatalf("%d events, %v", len(events), err)
			}
		})
	}
}

func FuzzSSE(f *testing.F) {
	for _, seed := range []string{
		"data: {}\n\n", "data: {}\r\rdata: {}\r\n\r\n", ": c\ndata:1\ndata: 2\n\n", "data: [DONE]", "\ufeffdata: {}", "data",
		"event: x\nid: 1\nretry: 2\n\ndata\n\n", "data:\r\n\r\ndata: x\r", strings.Repeat("data: x\n", 50),
	} {
		f.Add(seed, uint16(3))
	}
	f.Fuzz(func(t *testing.T, body string, at uint16) {
		cut := min(int(at), len(body))
		whole, wholeErr := sseEvents(strings.NewReader(body))
		pieces, piecesErr := sseEvents(&cutAt{[][]byte{[]byte(body[:cut]), []byte(body[cut:])}})
		bytewise, bytewiseErr := sseEvents(iotest.OneByteReader(strings.NewReader(body)))
		if fmt.Sprint(whole, wholeErr) != fmt.Sprint(pieces, piecesErr) ||
			fmt.Sprint(whole, wholeErr) != fmt.Sprint(bytewise, bytewiseErr) {
			t.Fatalf("%q: %q, %q, %q", body, whole, pieces, bytewise)
		}
		for _, data := range whole {
			if data == "" || strings.ContainsRune(data, '\r') {
				t.Fatalf("%q gave %q", body, data)
			}
		}
	})
}

func sseEvents(in io.Reader) (events []string, err error) {
	reader := newSSEReader(in)
	for {
		data, err := reader.next()
		if err != nil {
			return events, err
		}
		events = append(events, string(data))
	}
}

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
	"time"
)

const (
	// answerBytesMax bounds a whole answer; images in base64 are the largest.
	answerBytesMax = 256 << 20
	// errorBytesMax bounds what is read of a failure's body.
	errorBytesMax = 1 << 20
)

// callSpec is one logical call: what is sent, over all its attempts.
type callSpec struct {
	method string
	url    string
	body   []byte
	// paid calls are those of models; they carry an Idempotency-Key.
	paid    bool
	stream  bool
	keyless bool
	options CallOptions
}

// modelCall is a POST of a model call.
func (c *Client) modelCall(ctx context.Context, path string, request any, stream bool) (callSpec, error) {
	body, err := marshalBody(request)
	if err != nil {
		return callSpec{}, err
	}
	return callSpec{
		method: http.MethodPost, url: c.openAIBaseURL + path, body: body, paid: true, stream: stream,
		options: callOptions(ctx),
	}, nil
}

func marshalBody(request any) ([]byte, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("joytoken: the request is no JSON: %w", err)
	}
	return body, nil
}

// doJSON makes a call whose answer is read as a whole, and returns the answer's headers.
func (c *Client) doJSON(ctx context.Context, call callSpec, answer any) (http.Header, error) {
	var header http.Header
	err := c.attempts(ctx, call, func(request http.Header) error {
		attemptCtx, cancel := c.bounded(ctx, call)
		defer cancel()
		response, err := c.send(attemptCtx, ctx, call, request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		header = response.Header
		data, err := readBounded(response.Body, answerBytesMax)
		if err != nil {
			return c.transportError(ctx, attemptCtx, err)
		}
		if err := c.bodyError(response, data); err != nil {
			return err
		}
		if err := json.Unmarshal(data, answer); err != nil {
			return fmt.Errorf("joytoken: the answer of %s is no JSON of the expected shape: %w", call.url, err)
		}
		return nil
	})
	return header, err
}

// attempts makes the headers once, so that every attempt has the same Idempotency-Key, and repeats what can be repeated.
func (c *Client) attempts(ctx context.Context, call callSpec, attempt func(http.Header) error) error {
	if c.apiKey.reveal() == "" && !call.keyless {
		return ErrMissingAPIKey
	}
	header, err := c.requestHeader(call)
	if err != nil {
		return err
	}
	retries := c.retriesOf(call.options)
	for n := 0; ; n++ {
		err := attempt(header)
		if err == nil || n >= retries || !retryable(ctx, err, call.stream) {
			return err
		}
		var apiErr *APIError
		errors.As(err, &apiErr)
		if c.sleep(ctx, retryDelay(n, apiErr.ResponseHeaders, time.Now())) != nil {
			return err
		}
	}
}

func (c *Client) retriesOf(options CallOptions) int {
	if options.MaxRetries != nil {
		return *options.MaxRetries
	}
	return c.maxRetries
}

// MaxRetries is how many more attempts may follow one of a call with this context: the context's, else the client's.
func (c *Client) MaxRetries(ctx context.Context) int { return c.retriesOf(callOptions(ctx)) }

// bounded is the context of one attempt.
func (c *Client) bounded(ctx context.Context, call callSpec) (context.Context, context.CancelFunc) {
	timeout := c.timeout
	if call.options.Timeout != 0 {
		timeout = call.options.Timeout
	}
	if timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, timeout)
}

// send makes one attempt, to the answer's headers; a failure's body is read and becomes an *APIError.
func (c *Client) send(attemptCtx, ctx context.Context, call callSpec, header http.Header) (*http.Response, error) {
	var body io.Reader
	if call.body != nil {
		body = bytes.NewReader(call.body)
	}
	request, err := http.NewRequestWithContext(attemptCtx, call.method, call.url, body)
	if err != nil {
		return nil, fmt.Errorf("joytoken: the address is not valid: %w", err)
	}
	request.Header = header.Clone()
	response, err := c.httpClient.Do(request)
	if err != nil {
		return nil, c.transportError(ctx, attemptCtx, err)
	}
	if response.StatusCode >= 200 && response.StatusCode <= 299 {
		return response, nil
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, errorBytesMax))
	if err != nil && len(data) == 0 {
		data = nil // the status says more than the cut body
	}
	return nil, newAPIError(response.StatusCode, response.Header, c.redact(data))
}

// bodyError is the failure within an answer of a good status: a top-level error that is not null.
func (c *Client) bodyError(response *http.Response, data []byte) error {
	if !bytes.Contains(data, []byte(`"error"`)) {
		return nil
	}
	var fields struct {
		Error  json.RawMessage `json:"error"`
		Object string          `json:"object"`
	}
	if json.Unmarshal(data, &fields) != nil || errorObject(fields.Error) == nil || fields.Object == "response" {
		return nil
	}
	return newAPIError(response.StatusCode, response.Header, c.redact(data))
}

// redact takes the key out of a body that repeats it.
func (c *Client) redact(data []byte) []byte {
	key := c.apiKey.reveal()
	if key == "" {
		return data
	}
	return bytes.ReplaceAll(data, []byte(key), []byte("(hidden)"))
}

// transportError is the error of an attempt without a whole answer. Where the caller's own context ended it is that
// context's error; else an *APIError of code timeout or network.
func (c *Client) transportError(ctx, attemptCtx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("joytoken: the call was ended: %w", ctx.Err())
	}
	code := ErrorCodeNetwork
	var timeout interface{ Timeout() bool }
	if attemptCtx.Err() != nil || errors.As(err, &timeout) && timeout.Timeout() {
		code = ErrorCodeTimeout
	}
	if attemptCtx.Err() != nil && !errors.Is(err, attemptCtx.Err()) {
		err = fmt.Errorf("%w: %w", attemptCtx.Err(), err)
	}
	return &APIError{Code: code, cause: &hiddenKey{err, c.apiKey.reveal()}, final: errors.Is(err, errTooLarge)}
}

// hiddenKey is an error in whose text the key does not show, such as one of an HTTPClient that prints requests.
type hiddenKey struct {
	error
	key string
}

func (e *hiddenKey) Error() string {
	if e.key == "" {
		return e.error.Error()
	}
	return strings.ReplaceAll(e.error.Error(), e.key, "(hidden)")
}

func (e *hiddenKey) Unwrap() error { return e.error }

var errTooLarge = errors.New("the answer is too large")

// readBounded reads a whole body, and fails where it is larger than max bytes.
func readBounded(body io.Reader, max int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, max+1))
	if err == nil && int64(len(data)) > max {
		return nil, fmt.Errorf("%w: it is over %d bytes", errTooLarge, max)
	}
	return data, err
}

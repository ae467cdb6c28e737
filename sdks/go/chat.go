package joytoken

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"strings"
)

const chatPath = "/chat/completions"

// CreateChatCompletion asks for an answer to a chat. Where neither the request nor the client has tools, the default ones
// are declared, and run when the model calls them; tools of the request or the client are never run.
func (c *Client) CreateChatCompletion(
	ctx context.Context, request ChatCompletionRequest,
) (*ChatCompletionResponse, error) {
	set := c.tools.forChat(request.Tools)
	request.Tools = set.chat
	if !set.auto {
		return c.askChat(ctx, request)
	}
	talk := &chatTalk{client: c, request: request, ask: c.askChat}
	if _, err := c.loop(ctx, 0, set.handlers, talk, nil); err != nil {
		return nil, err
	}
	return talk.answer, nil
}

// StreamChatCompletion asks for a streamed answer. Tools are declared as by CreateChatCompletion and never run. The
// stream must be closed, or read to its end.
func (c *Client) StreamChatCompletion(
	ctx context.Context, request ChatCompletionRequest,
) (*ChatCompletionStream, error) {
	request.Tools = c.tools.forChat(request.Tools).chat
	return c.streamChat(ctx, request)
}

// askChat makes one model call.
func (c *Client) askChat(ctx context.Context, request ChatCompletionRequest) (*ChatCompletionResponse, error) {
	if err := checkModel(request.Model); err != nil {
		return nil, err
	}
	request.Stream = false
	call, err := c.modelCall(ctx, chatPath, request, false)
	if err != nil {
		return nil, err
	}
	answer := &ChatCompletionResponse{}
	header, err := c.doJSON(ctx, call, answer)
	if err != nil {
		return nil, err
	}
	answer.Metadata = withRequestID(answer.Metadata, header)
	return answer, nil
}

func (c *Client) streamChat(ctx context.Context, request ChatCompletionRequest) (*ChatCompletionStream, error) {
	if err := checkModel(request.Model); err != nil {
		return nil, err
	}
	request.Stream = true
	call, err := c.modelCall(ctx, chatPath, request, true)
	if err != nil {
		return nil, err
	}
	stream, err := c.openStream(ctx, call)
	if err != nil {
		return nil, err
	}
	return &ChatCompletionStream{stream}, nil
}

// ChatCompletionStream is a streamed answer to a chat.
type ChatCompletionStream struct{ stream *eventStream }

// Recv waits for the next chunk. At the end it is io.EOF; a failure within the stream is an *APIError. After an error the
// stream is closed, and the error stays.
func (s *ChatCompletionStream) Recv() (*ChatCompletionChunk, error) {
	chunk := &ChatCompletionChunk{}
	if err := s.stream.receive(chunk); err != nil {
		return nil, err
	}
	if chunk.Error != nil {
		return nil, s.stream.failure(chunk.Error)
	}
	chunk.Metadata, chunk.inherited = s.stream.learn(chunk.Metadata)
	return chunk, nil
}

// All yields the chunks up to the end, or a nil chunk and the error. It closes the stream, also where the loop is left.
func (s *ChatCompletionStream) All() iter.Seq2[*ChatCompletionChunk, error] {
	return all(s.Recv, s.Close)
}

// Close ends the stream and, where it is under way, the call. It can be called at any time, from any goroutine, and again.
func (s *ChatCompletionStream) Close() error { return s.stream.Close() }

var errNoModel = errors.New(`joytoken: model is empty; name one of the catalog, or "auto"`)

func checkModel(model string) error {
	if strings.TrimSpace(model) == "" {
		return errNoModel
	}
	return nil
}

// withRequestID copies the answer's header into metadata that has no id.
func withRequestID(metadata map[string]any, header http.Header) map[string]any {
	id := requestIDOf(header)
	if id == "" || RequestIDFromMetadata(metadata) != "" {
		return metadata
	}
	if metadata == nil {
		metadata = map[string]any{}
	}
	metadata["request_id"] = id
	return metadata
}

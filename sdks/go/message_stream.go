package joytoken

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync"

	"joytoken.example/sdk-go/tooldef"
)

// StreamMessage asks for a streamed message. Tools are declared as by CreateMessage and never run. The stream must be
// closed, or read to its end.
func (c *Client) StreamMessage(ctx context.Context, request MessageRequest) (*MessageStream, error) {
	chat, err := request.chatRequest(c.tools.forMessage(request.Tools).message)
	if err != nil {
		return nil, err
	}
	stream, err := c.streamChat(ctx, chat)
	if err != nil {
		return nil, err
	}
	return &MessageStream{chat: stream}, nil
}

// MessageStream is a streamed message: the events of the messages shape, made of the chunks of a chat. Text comes as it
// is streamed; tool uses come whole, after it.
type MessageStream struct {
	chat *ChatCompletionStream

	mu      sync.Mutex
	queue   []*MessageStreamEvent
	answer  chatAssembly
	started bool
	texting bool
	blocks  int
	ended   bool
}

// Recv waits for the next event. At the end it is io.EOF; a failure within the stream is an *APIError. After an error the
// stream is closed, and the error stays.
func (s *MessageStream) Recv() (*MessageStreamEvent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) == 0 {
		chunk, err := s.chat.Recv()
		switch {
		case err == nil:
			s.take(chunk)
		case errors.Is(err, io.EOF) && s.started && !s.ended:
			s.ended = true
			s.finish()
		default:
			return nil, err
		}
	}
	event := s.queue[0]
	s.queue = s.queue[1:]
	return event, nil
}

// All yields the events up to the end, or a nil event and the error. It closes the stream, also where the loop is left.
func (s *MessageStream) All() iter.Seq2[*MessageStreamEvent, error] { return all(s.Recv, s.Close) }

// Close ends the stream and, where it is under way, the call. It can be called at any time, from any goroutine, and again.
func (s *MessageStream) Close() error { return s.chat.Close() }

func (s *MessageStream) emit(event MessageStreamEvent) {
	if event.Metadata == nil && s.answer.whole.Metadata != nil {
		if id := RequestIDFromMetadata(s.answer.whole.Metadata); id != "" {
			event.Metadata, event.inherited = map[string]any{"request_id": id}, true
		}
	}
	s.queue = append(s.queue, &event)
}

// take makes events of a chunk. One that has only metadata does not start the message.
func (s *MessageStream) take(chunk *ChatCompletionChunk) {
	added := s.answer.add(chunk)
	if !s.started && (chunk.ID != "" || chunk.Model != "" || len(chunk.Choices) > 0) {
		s.started = true
		s.emit(MessageStreamEvent{Type: "message_start", Message: &MessageResponse{
			ID: chunk.ID, Type: "message", Role: "assistant", Model: chunk.Model, Content: []MessageContentBlock{},
		}})
	}
	if added == "" {
		return
	}
	if !s.texting {
		s.texting = true
		s.emit(MessageStreamEvent{
			Type: "content_block_start", Index: s.index(), ContentBlock: &MessageContentBlock{Type: "text"},
		})
	}
	s.emit(MessageStreamEvent{
		Type: "content_block_delta", Index: s.index(), Delta: map[string]any{"type": "text_delta", "text": added},
	})
}

func (s *MessageStream) index() *int {
	index := s.blocks
	return &index
}

// stop ends the block under way.
func (s *MessageStream) stop() {
	s.emit(MessageStreamEvent{Type: "content_block_stop", Index: s.index()})
	s.blocks++
}

// finish makes the events that follow the last chunk.
func (s *MessageStream) finish() {
	if s.texting {
		s.stop()
	}
	calls := s.answer.calls.whole()
	for _, call := range calls {
		block := toolUse(call)
		arguments := call.Function.Arguments
		if _, isObject := tooldef.ParseToolArguments(arguments).(map[string]any); !isObject || arguments == "" {
			arguments = "{}"
		}
		block.Input = map[string]any{}
		s.emit(MessageStreamEvent{Type: "content_block_start", Index: s.index(), ContentBlock: &block})
		s.emit(MessageStreamEvent{
			Type: "content_block_delta", Index: s.index(),
			Delta: map[string]any{"type": "input_json_delta", "partial_json": arguments},
		})
		s.stop()
	}
	whole := s.answer.response()
	usage := newMessageUsage(whole.Usage, whole.CallMetadata())
	s.emit(MessageStreamEvent{
		Type: "message_delta", Usage: &usage, Metadata: whole.Metadata,
		Delta: map[string]any{"stop_reason": stopReason(s.answer.finish, len(calls) > 0), "stop_sequence": nil},
	})
	s.emit(MessageStreamEvent{Type: "message_stop"})
}

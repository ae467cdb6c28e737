package joytoken

import (
	"context"
	"iter"
)

const responsePath = "/responses"

// CreateResponse asks for a response. Tools are declared and run as by CreateChatCompletion.
func (c *Client) CreateResponse(ctx context.Context, request ResponseRequest) (*Response, error) {
	set := c.tools.forResponse(request.Tools)
	request.Tools = set.response
	if !set.auto {
		return c.askResponse(ctx, request)
	}
	talk, err := newResponseTalk(request, c.askResponse)
	if err != nil {
		return nil, err
	}
	if _, err := c.loop(ctx, 0, set.handlers, talk, nil); err != nil {
		return nil, err
	}
	return talk.steps[len(talk.steps)-1].Response, nil
}

// StreamResponse asks for a streamed response. Tools are declared as by CreateResponse and never run. The stream must be
// closed, or read to its end.
func (c *Client) StreamResponse(ctx context.Context, request ResponseRequest) (*ResponseStream, error) {
	request.Tools = c.tools.forResponse(request.Tools).response
	return c.streamResponse(ctx, request)
}

// askResponse makes one model call.
func (c *Client) askResponse(ctx context.Context, request ResponseRequest) (*Response, error) {
	if err := checkModel(request.Model); err != nil {
		return nil, err
	}
	request.Stream = false
	call, err := c.modelCall(ctx, responsePath, request, false)
	if err != nil {
		return nil, err
	}
	answer := &Response{}
	header, err := c.doJSON(ctx, call, answer)
	if err != nil {
		return nil, err
	}
	answer.Metadata = withRequestID(answer.Metadata, header)
	return answer, nil
}

func (c *Client) streamResponse(ctx context.Context, request ResponseRequest) (*ResponseStream, error) {
	if err := checkModel(request.Model); err != nil {
		return nil, err
	}
	request.Stream = true
	call, err := c.modelCall(ctx, responsePath, request, true)
	if err != nil {
		return nil, err
	}
	stream, err := c.openStream(ctx, call)
	if err != nil {
		return nil, err
	}
	return &ResponseStream{stream}, nil
}

// ResponseStream is a streamed response.
type ResponseStream struct{ stream *eventStream }

// Recv waits for the next event. At the end it is io.EOF; a failure within the stream is an *APIError. After an error the
// stream is closed, and the error stays.
func (s *ResponseStream) Recv() (*ResponseStreamEvent, error) {
	event := &ResponseStreamEvent{}
	if err := s.stream.receive(event); err != nil {
		return nil, err
	}
	if event.Error != nil {
		return nil, s.stream.failure(event.Error)
	}
	if event.Response != nil {
		event.Response.Metadata, _ = s.stream.learn(event.Response.Metadata)
	}
	event.Metadata, event.inherited = s.stream.learn(event.Metadata)
	return event, nil
}

// All yields the events up to the end, or a nil event and the error. It closes the stream, also where the loop is left.
func (s *ResponseStream) All() iter.Seq2[*ResponseStreamEvent, error] { return all(s.Recv, s.Close) }

// Close ends the stream and, where it is under way, the call. It can be called at any time, from any goroutine, and again.
func (s *ResponseStream) Close() error { return s.stream.Close() }

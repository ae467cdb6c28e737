package joytoken

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// eventBytesMax bounds one event of a stream.
const eventBytesMax = 16 << 20

var errEventTooLarge = errors.New("an event of the stream is too large")

// sseReader reads the data of server-sent events. Lines end with LF, CR or CRLF; other fields and comments are passed
// over. It reads no further than it must: an event is there as soon as its empty line is.
type sseReader struct {
	in     *bufio.Reader
	line   []byte
	data   []byte
	lines  int  // of data, in the event under way
	afterR bool // the last line ended with CR, and a LF would belong to it
	begun  bool
	limit  int
}

func newSSEReader(in io.Reader) *sseReader {
	return &sseReader{in: bufio.NewReaderSize(in, 32<<10), limit: eventBytesMax}
}

// next is the data of the next event, good until the next call. At the end it is io.EOF, after an event that only the end
// of the body ended.
func (r *sseReader) next() ([]byte, error) {
	r.data, r.lines = r.data[:0], 0
	for {
		line, err := r.readLine()
		if err != nil && (err != io.EOF || len(line) == 0) {
			if err == io.EOF && len(r.data) > 0 {
				return r.data, nil
			}
			return nil, err
		}
		switch {
		case len(line) > 0:
			if err := r.field(line); err != nil {
				return nil, err
			}
		case len(r.data) > 0:
			return r.data, nil
		default:
			r.lines = 0 // an event without data is none
		}
	}
}

// field adds a line of data to the event.
func (r *sseReader) field(line []byte) error {
	name, value, _ := bytes.Cut(line, []byte(":"))
	if string(name) != "data" {
		return nil
	}
	if r.lines > 0 {
		r.data = append(r.data, '\n')
	}
	r.data = append(r.data, bytes.TrimPrefix(value, []byte(" "))...)
	r.lines++
	if len(r.data) > r.limit {
		return r.tooLarge()
	}
	return nil
}

// readLine is the next line without its end; with io.EOF it is what was left.
func (r *sseReader) readLine() ([]byte, error) {
	r.line = r.line[:0]
	for {
		if _, err := r.in.Peek(1); err != nil {
			return r.stripMark(r.line), err
		}
		part, _ := r.in.Peek(r.in.Buffered())
		if r.afterR {
			r.afterR = false
			if part[0] == '\n' {
				_, _ = r.in.Discard(1)
				continue
			}
		}
		end := bytes.IndexAny(part, "\r\n")
		if end < 0 {
			r.line = append(r.line, part...)
			_, _ = r.in.Discard(len(part))
		} else {
			r.line = append(r.line, part[:end]...)
			r.afterR = part[end] == '\r'
			_, _ = r.in.Discard(end + 1)
		}
		if len(r.line) > r.limit {
			return nil, r.tooLarge()
		}
		if end >= 0 {
			return r.stripMark(r.line), nil
		}
	}
}

// stripMark takes a byte order mark off the first line.
func (r *sseReader) stripMark(line []byte) []byte {
	if !r.begun {
		r.begun = true
		return bytes.TrimPrefix(line, []byte("\ufeff"))
	}
	return line
}

func (r *sseReader) tooLarge() error {
	return fmt.Errorf("%w: it is over %d bytes", errEventTooLarge, r.limit)
}

package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// OutputFormat asks for a final answer that is JSON of a schema: see OutputFor. The model is told the schema, its answer
// is checked, and it is asked once more where that does not fit.
type OutputFormat struct {
	// Name has letters, digits, _ and -, at most 64.
	Name   string
	Schema map[string]any
}

// OutputFor is the OutputFormat of a Go type: see SchemaFor. It panics where the type has no schema.
func OutputFor[T any](name string) *OutputFormat {
	schema, err := SchemaFor[T]()
	if err != nil {
		panic(err)
	}
	return &OutputFormat{Name: name, Schema: schema}
}

// OutputAs is the final answer of a run as a Go value.
func OutputAs[T any](result AgentResult) (T, error) {
	var value T
	if result.Status != StatusDone {
		return value, fmt.Errorf("agent: run %q has no final answer: it is %s by %q",
			result.RunID, result.Status, result.StoppedBy)
	}
	if err := json.Unmarshal([]byte(withoutFence(result.FinalText)), &value); err != nil {
		return value, &OutputError{Text: result.FinalText, Problem: err}
	}
	return value, nil
}

// OutputError is a final answer that is not of the shape that was asked for.
type OutputError struct {
	// Text is the answer.
	Text    string
	Problem error
}

func (e *OutputError) Error() string {
	return fmt.Sprintf("agent: the final answer does not fit: %v", e.Problem)
}

// Unwrap is the problem.
func (e *OutputError) Unwrap() error { return e.Problem }

// outputCheck reads final answers; a nil one takes every text.
type outputCheck struct {
	format OutputFormat
	schema *schema
}

func newOutputCheck(format *OutputFormat) (*outputCheck, error) {
	if format == nil {
		return nil, nil
	}
	if format.Name == "" || len(format.Name) > 64 || strings.ContainsFunc(format.Name, func(char rune) bool {
		return char == '.' || !nameChar(char)
	}) {
		return nil, errors.New("agent: Output.Name must be 1 to 64 letters, digits, _ and -")
	}
	compiled, err := compileSchema(format.Schema)
	if err != nil {
		return nil, fmt.Errorf("agent: Output.Schema: %w", err)
	}
	return &outputCheck{format: *format, schema: compiled}, nil
}

func (c *outputCheck) responseFormat() map[string]any {
	if c == nil {
		return nil
	}
	return map[string]any{"type": "json_schema", "json_schema": map[string]any{
		"name": c.format.Name, "schema": c.format.Schema, "strict": true,
	}}
}

func (c *outputCheck) read(text string) (any, error) {
	if c == nil {
		return nil, nil
	}
	decoder := json.NewDecoder(bytes.NewReader([]byte(withoutFence(text))))
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("it is no JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the JSON")
	}
	return value, c.schema.check(value)
}

// withoutFence is a text without the Markdown fence that some models put around JSON.
func withoutFence(text string) string {
	trimmed := strings.TrimSpace(text)
	if inner, fenced := strings.CutPrefix(trimmed, "```"); fenced && strings.HasSuffix(inner, "```") {
		_, body, _ := strings.Cut(strings.TrimSuffix(inner, "```"), "\n")
		return body
	}
	return text
}

func repairText(problem error) string {
	return "Your answer does not fit the schema: " + problem.Error() +
		". Answer again with nothing but JSON that fits it."
}

package tooldef

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ParseToolArguments turns the arguments of a call into a tool's input: an empty text is an empty object, and a text
// that is no JSON becomes {"raw": text}.
func ParseToolArguments(arguments string) any {
	if strings.TrimSpace(arguments) == "" {
		return map[string]any{}
	}
	var input any
	if err := json.Unmarshal([]byte(arguments), &input); err != nil {
		return map[string]any{"raw": arguments}
	}
	return input
}

// StringifyToolResult turns a tool's result into the content of its message: a text as it is, nil as "null", anything
// else as JSON. It fails for values that are no JSON, such as functions and infinite numbers.
func StringifyToolResult(result any) (string, error) {
	if text, ok := result.(string); ok {
		return text, nil
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(result); err != nil {
		return "", fmt.Errorf("tool result is no JSON: %w", err)
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// SafeExecute runs a tool; a panic becomes an error.
func SafeExecute(ctx context.Context, t Tool, input any, execution ToolExecutionContext) (result any, err error) {
	if t.Execute == nil {
		return nil, fmt.Errorf("tool %q has no Execute function", t.Name)
	}
	defer func() {
		if thrown := recover(); thrown != nil {
			result, err = nil, fmt.Errorf("tool panicked: %v", thrown)
		}
	}()
	return t.Execute(ctx, input, execution)
}

// object is the input of a built-in tool; anything but an object is refused.
func object(tool string, input any) (map[string]any, error) {
	if input == nil {
		return map[string]any{}, nil
	}
	fields, ok := input.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s: input must be an object", tool)
	}
	return fields, nil
}

// textArgument reads a field of a built-in tool's input: at most MaxArgBytes of text.
func textArgument(tool string, input any, name string, required bool) (string, error) {
	fields, err := object(tool, input)
	if err != nil {
		return "", err
	}
	value, there := fields[name]
	if !there || value == nil {
		if required {
			return "", fmt.Errorf("%s: missing required argument %q", tool, name)
		}
		return "", nil
	}
	text, ok := value.(string)
	if !ok {
		return "", fmt.Errorf("%s: argument %q must be a string", tool, name)
	}
	if len(text) > MaxArgBytes {
		return "", fmt.Errorf("%s: argument %q is over %d bytes", tool, name, MaxArgBytes)
	}
	return text, nil
}

// MaxArgBytes is the largest text that a built-in tool takes as one argument.
const MaxArgBytes = 1 << 20

// errStop ends a walk over files early.
var errStop = errors.New("stop")

// readAtMost reads no more than max bytes, and says whether there was more.
func readAtMost(r io.Reader, max int) ([]byte, bool, error) {
	data, err := io.ReadAll(io.LimitReader(r, int64(max)+1))
	if len(data) > max {
		return data[:max], true, err
	}
	return data, false, err
}

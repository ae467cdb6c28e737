package joytoken

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// What is read of answers whose fields may be of any kind.

func text(value any) string {
	s, _ := value.(string)
	return s
}

func texts(value any) []string {
	items, _ := value.([]any)
	var list []string
	for _, item := range items {
		if s, ok := item.(string); ok {
			list = append(list, s)
		}
	}
	return list
}

func number(value any) *float64 {
	switch v := value.(type) {
	case float64:
		return &v
	case json.Number:
		if f, err := v.Float64(); err == nil {
			return &f
		}
	}
	return nil
}

// tokenCount is a count of tokens given as a number or a text; nil where it is none.
func tokenCount(value any) *int {
	if s, ok := value.(string); ok {
		f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err != nil {
			return nil
		}
		value = f
	}
	f := number(value)
	if f == nil || *f < 0 || *f > math.MaxInt32*1024 || *f != math.Trunc(*f) {
		return nil
	}
	count := int(*f)
	return &count
}

// decimalText is a decimal number as it was written; a number is spelled without rounding where it came exact.
func decimalText(value any) string {
	switch v := value.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}

// unmarshalExact reads JSON whose numbers stay as they are written, in values of kind any.
func unmarshalExact(data []byte, target any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return decoder.Decode(target)
}

// errorObject is a top-level error as an object: a text becomes its message; null is none.
func errorObject(data json.RawMessage) map[string]any {
	var value any
	if len(data) == 0 || json.Unmarshal(data, &value) != nil || value == nil {
		return nil
	}
	if fields, ok := value.(map[string]any); ok {
		return fields
	}
	return map[string]any{"message": value}
}

// given tells a list that is there, though empty, from one that is not.
func given[T any](list []T) *[]T {
	if list == nil {
		return nil
	}
	return &list
}

// marshalWithExtra writes an object and adds fields to it; one that it has already is refused.
func marshalWithExtra(fields any, extra map[string]any) ([]byte, error) {
	data, err := json.Marshal(fields)
	if err != nil || len(extra) == 0 {
		return data, err
	}
	var object map[string]json.RawMessage
	if err := json.Unmarshal(data, &object); err != nil {
		return nil, err
	}
	for name, value := range extra {
		if _, there := object[name]; there {
			return nil, fmt.Errorf("joytoken: Extra has %q, which is a field of the request: set that field", name)
		}
		if object[name], err = json.Marshal(value); err != nil {
			return nil, fmt.Errorf("joytoken: Extra field %q is no JSON: %w", name, err)
		}
	}
	return json.Marshal(object)
}

func blockText(blocks []MessageContentBlock) string {
	var joined strings.Builder
	for _, block := range blocks {
		if block.Type == "text" {
			joined.WriteString(block.Text)
		}
	}
	return joined.String()
}

// convert goes through JSON, from values of any kind to those of a known one.
func convert(from, to any) error {
	data, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return unmarshalExact(data, to)
}

func jsonObject(value any) (map[string]any, error) {
	var fields map[string]any
	err := convert(value, &fields)
	return fields, err
}

package joytoken

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"joytoken.example/sdk-go/tooldef"
)

// vectorCase is a case of spec/vectors/sdk: see the README there.
type vectorCase struct {
	Name     string                     `json:"name"`
	Input    json.RawMessage            `json:"input"`
	Expect   json.RawMessage            `json:"expect"`
	Only     []string                   `json:"only"`
	ExpectIn map[string]json.RawMessage `json:"expect_in"`
	Absent   []string                   `json:"absent"`

	Options map[string]string `json:"options"`
	Env     map[string]string `json:"env"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers"`
	Body    json.RawMessage   `json:"body"`
}

// eachVector runs the cases of a file that are for Go.
func eachVector(t *testing.T, file string, run func(t *testing.T, c vectorCase)) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "spec", "vectors", "sdk", file+".json"))
	if err != nil {
		t.Fatalf("the shared vectors must be there: %v", err)
	}
	var vectors struct {
		Cases []vectorCase `json:"cases"`
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, c := range vectors.Cases {
		if c.Only != nil && !slices.Contains(c.Only, "go") {
			continue
		}
		ran++
		t.Run(c.Name, func(t *testing.T) { run(t, c) })
	}
	if ran == 0 {
		t.Fatalf("%s has no case for Go", file)
	}
}

// expected is what the case expects of Go.
func (c vectorCase) expected(t *testing.T) any {
	t.Helper()
	expected := value(t, c.Expect)
	if own, ok := c.ExpectIn["go"]; ok {
		fields := expected.(map[string]any)
		for name, v := range value(t, own).(map[string]any) {
			fields[name] = v
		}
	}
	return expected
}

func value(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return v
}

// asJSON is a value as it looks on the wire.
func asJSON(t *testing.T, v any) any {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return value(t, data)
}

func read[T any](t *testing.T, data []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	return v
}

func mustEqual(t *testing.T, got, want any) {
	t.Helper()
	if got, want := asJSON(t, got), asJSON(t, want); !reflect.DeepEqual(got, want) {
		t.Fatalf("got  %v\nwant %v", got, want)
	}
}

// mustContain checks that every field that is wanted is there and equal, deeply.
func mustContain(t *testing.T, got, want any) {
	t.Helper()
	fields, ok := want.(map[string]any)
	if !ok {
		mustEqual(t, got, want)
		return
	}
	have, _ := got.(map[string]any)
	if have == nil {
		t.Fatalf("got %v, want %v", got, want)
	}
	for name, v := range fields {
		if v == nil {
			if have[name] != nil {
				t.Fatalf("%s is %v, want none", name, have[name])
			}
			continue
		}
		mustContain(t, have[name], v)
	}
}

// parts joins a long text that is told as a list of parts.
func parts(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	var joined strings.Builder
	for _, part := range v.([]any) {
		if repeated, ok := part.(map[string]any); ok {
			joined.WriteString(strings.Repeat(repeated["repeat"].(string), int(repeated["times"].(float64))))
		} else {
			joined.WriteString(part.(string))
		}
	}
	return joined.String()
}

func TestVectorsFinishReasons(t *testing.T) {
	eachVector(t, "finish-reasons", func(t *testing.T, c vectorCase) {
		raw, _ := value(t, c.Input).(string)
		mustEqual(t, ClassifyFinishReason(raw).String(), c.expected(t))
	})
}

func TestVectorsToolArguments(t *testing.T) {
	eachVector(t, "tool-arguments", func(t *testing.T, c vectorCase) {
		mustEqual(t, tooldef.ParseToolArguments(value(t, c.Input).(string)), c.expected(t))
	})
}

func TestVectorsToolResults(t *testing.T) {
	eachVector(t, "tool-results", func(t *testing.T, c vectorCase) {
		content, err := tooldef.StringifyToolResult(value(t, c.Input))
		if err != nil {
			t.Fatal(err)
		}
		mustEqual(t, content, c.expected(t))
	})
}

func TestVectorsToolCalls(t *testing.T) {
	eachVector(t, "tool-calls", func(t *testing.T, c vectorCase) {
		var assembly toolCallAssembly
		for _, fragments := range read[[][]any](t, c.Input) {
			assembly.add(fragments)
		}
		calls := assembly.whole()
		if calls == nil {
			calls = []ToolCall{}
		}
		mustEqual(t, calls, c.expected(t))
	})
}

func TestVectorsUsage(t *testing.T) {
	eachVector(t, "usage", func(t *testing.T, c vectorCase) {
		answer, chunk := read[ChatCompletionResponse](t, c.Input), read[ChatCompletionChunk](t, c.Input)
		mustEqual(t, answer.Usage, c.expected(t))
		mustEqual(t, chunk.Usage, c.expected(t))
	})
}

func TestVectorsCallMetadata(t *testing.T) {
	eachVector(t, "call-metadata", func(t *testing.T, c vectorCase) {
		answer, chunk := read[ChatCompletionResponse](t, c.Input), read[ChatCompletionChunk](t, c.Input)
		for _, metadata := range []*CallMetadata{answer.CallMetadata(), chunk.CallMetadata()} {
			if c.expected(t) == nil {
				if metadata != nil {
					t.Fatalf("got %+v, want none", metadata)
				}
				continue
			}
			mustContain(t, wireMetadata(t, metadata), c.expected(t))
		}
	})
}

// wireMetadata spells typed metadata under its wire names.
func wireMetadata(t *testing.T, m *CallMetadata) any {
	l, b := m.Latency, m.Billing
	return asJSON(t, map[string]any{
		"request_id": m.RequestID, "billing_id": m.BillingID, "model": m.Model, "provider": m.Provider,
		"tier": m.Tier, "tag": m.Tag, "score": m.Score,
		"latency": map[string]any{
			"routing_ms": l.RoutingMS, "first_token_ms": l.FirstTokenMS, "stream_ms": l.StreamMS,
			"total_ms": l.TotalMS,
		},
		"billing": map[string]any{
			"credits_used": b.CreditsUsed, "input_tokens": b.InputTokens, "output_tokens": b.OutputTokens,
			"cached_input_tokens": b.CachedInputTokens, "cached_output_tokens": b.CachedOutputTokens,
			"reasoning_tokens": b.ReasoningTokens, "usd_cost": b.USDCost, "ending": b.Ending,
			"usage_source": b.UsageSource,
		},
	})
}

func TestVectorsChatChunks(t *testing.T) {
	eachVector(t, "chat-chunks", func(t *testing.T, c vectorCase) {
		chunk := read[ChatCompletionChunk](t, c.Input)
		if chunk.Choices == nil {
			t.Fatal("choices are nil")
		}
		want := c.expected(t).(map[string]any)
		got := asJSON(t, chunk).(map[string]any)
		if usage, ok := want["usage"].(map[string]any); ok {
			mustContain(t, got["usage"], usage)
			delete(want, "usage")
		}
		choices := want["choices"].([]any)
		mustEqual(t, len(chunk.Choices), len(choices))
		for i, choice := range choices {
			mustContain(t, got["choices"].([]any)[i], choice)
		}
		delete(want, "choices")
		mustContain(t, got, want)
	})
}

func TestVectorsModelLists(t *testing.T) {
	eachVector(t, "model-lists", func(t *testing.T, c vectorCase) {
		list := read[ModelListResponse](t, c.Input)
		want := c.expected(t).([]any)
		mustEqual(t, len(list.Data.Models), len(want))
		for i, model := range want {
			mustContain(t, asJSON(t, list.Data.Models[i]), model)
		}
	})
}

func TestVectorsBaseURLs(t *testing.T) {
	for _, name := range []string{"JOY_TOKEN_API_BASE_URL", "JOY_TOKEN_OPENAI_BASE_URL"} {
		t.Setenv(name, "")
	}
	eachVector(t, "openai-base-urls", func(t *testing.T, c vectorCase) {
		mustEqual(t, NewClient(WithOpenAIBaseURL(value(t, c.Input).(string))).openAIBaseURL, c.expected(t))
	})
	eachVector(t, "base-url-precedence", func(t *testing.T, c vectorCase) {
		for name, v := range c.Env {
			t.Setenv(name, v)
		}
		var options []Option
		if url, ok := c.Options["apiBaseUrl"]; ok {
			options = append(options, WithAPIBaseURL(url))
		}
		if url, ok := c.Options["openAIBaseUrl"]; ok {
			options = append(options, WithOpenAIBaseURL(url))
		}
		client := NewClient(options...)
		mustEqual(t, map[string]any{
			"apiBaseUrl": client.apiBaseURL, "openAIBaseUrl": client.openAIBaseURL,
		}, c.expected(t))
	})
}

package joytoken

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
)

func TestVectorsMessageRequests(t *testing.T) {
	eachVector(t, "messages-requests", func(t *testing.T, c vectorCase) {
		request := read[MessageRequest](t, c.Input)
		chat, err := request.chatRequest(request.Tools)
		if err != nil {
			t.Fatal(err)
		}
		got := asJSON(t, chat).(map[string]any)
		for name, want := range c.expected(t).(map[string]any) {
			if name == "messages" {
				mustEqual(t, withParsedArguments(t, got[name]), withParsedArguments(t, want))
			} else {
				mustEqual(t, got[name], want)
			}
		}
		for _, name := range c.Absent {
			if v, there := got[name]; there {
				t.Fatalf("%s is there: %v", name, v)
			}
		}
	})
}

// withParsedArguments reads the arguments of tool calls, so that their spelling does not count.
func withParsedArguments(t *testing.T, messages any) any {
	for _, message := range messages.([]any) {
		calls, _ := message.(map[string]any)["tool_calls"].([]any)
		for _, call := range calls {
			function := call.(map[string]any)["function"].(map[string]any)
			if arguments, ok := function["arguments"].(string); ok {
				function["arguments"] = value(t, []byte(arguments))
			}
		}
	}
	return messages
}

func TestVectorsMessageResponses(t *testing.T) {
	eachVector(t, "messages-responses", func(t *testing.T, c vectorCase) {
		answer := read[ChatCompletionResponse](t, c.Input)
		got := asJSON(t, newMessage(&answer))
		mustContain(t, got, c.expected(t))
	})
}

func TestVectorsMessageStreams(t *testing.T) {
	eachVector(t, "messages-streams", func(t *testing.T, c vectorCase) {
		client := fake(t, func(w http.ResponseWriter, _ *http.Request) {
			for _, chunk := range read[[]json.RawMessage](t, c.Input) {
				event(w, string(chunk))
			}
			event(w, "[DONE]")
		})
		stream, err := client.StreamMessage(context.Background(), MessageRequest{
			Model: "auto", MaxTokens: 9, Messages: []MessageParam{{Role: "user", Content: "hi"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		got, types := addUp(t, stream)
		want := c.expected(t).(map[string]any)
		if wanted, ok := want["types"]; ok {
			mustEqual(t, types, wanted)
			delete(want, "types")
		}
		mustContain(t, got, want)
	})
}

// addUp is what the events of a message stream come to, and their types, repetitions told once.
func addUp(t *testing.T, stream *MessageStream) (any, []string) {
	t.Helper()
	said, uses, types := "", []map[string]any{}, []string{}
	result := map[string]any{}
	for event, err := range stream.All() {
		if err != nil {
			t.Fatal(err)
		}
		if len(types) == 0 || types[len(types)-1] != event.Type {
			types = append(types, event.Type)
		}
		switch {
		case event.Type == "content_block_start" && event.ContentBlock.Type == "tool_use":
			use := asJSON(t, event.ContentBlock).(map[string]any)
			delete(use, "type")
			uses = append(uses, use)
		case event.Type == "content_block_delta" && event.Delta["type"] == "text_delta":
			said += event.Delta["text"].(string)
		case event.Type == "content_block_delta":
			uses[len(uses)-1]["input"] = value(t, []byte(event.Delta["partial_json"].(string)))
		case event.Type == "message_delta":
			result["stop_reason"], result["usage"] = event.Delta["stop_reason"], event.Usage
		}
	}
	result["text"], result["tool_uses"] = said, uses
	return asJSON(t, result), types
}

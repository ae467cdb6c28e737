package joytoken

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
)

// askChatStream makes one model call by a stream and puts its chunks together.
func (c *Client) askChatStream(
	ctx context.Context, request ChatCompletionRequest, onText func(string),
) (*ChatCompletionResponse, error) {
	stream, err := c.streamChat(ctx, request)
	if err != nil {
		return nil, err
	}
	return stream.Collect(onText)
}

// Collect reads the stream to its end, puts its chunks together to the answer that they are, and closes it. Text is told
// as it comes, where onText is not nil.
func (s *ChatCompletionStream) Collect(onText func(delta string)) (*ChatCompletionResponse, error) {
	defer s.Close()
	answer := chatAssembly{}
	for {
		chunk, err := s.Recv()
		if errors.Is(err, io.EOF) {
			return answer.response(), nil
		}
		if err != nil {
			return nil, err
		}
		if text := answer.add(chunk); text != "" && onText != nil {
			onText(text)
		}
	}
}

// chatAssembly puts the chunks of a stream together to the answer that they are.
type chatAssembly struct {
	whole  ChatCompletionResponse
	text   strings.Builder
	stages strings.Builder // text of an orchestrated answer's other tasks
	calls  toolCallAssembly
	role   string
	finish string
	began  bool
}

// add takes a chunk, and returns the text that it adds to the reply.
func (a *chatAssembly) add(chunk *ChatCompletionChunk) string {
	a.whole.ID, a.whole.Model = firstText(chunk.ID, a.whole.ID), firstText(chunk.Model, a.whole.Model)
	if chunk.Created != 0 {
		a.whole.Created = chunk.Created
	}
	if chunk.Usage != nil {
		a.whole.Usage = chunk.Usage
	}
	if chunk.Metadata != nil && (!chunk.inherited || a.whole.Metadata == nil) {
		a.whole.Metadata = chunk.Metadata
	}
	if chunk.MetadataList != nil {
		a.whole.MetadataList = chunk.MetadataList
	}
	if chunk.Orchestration != nil && chunk.Orchestration.Plan != nil {
		a.whole.Plan = chunk.Orchestration.Plan
	}
	added := ""
	for _, choice := range chunk.Choices {
		if choice.Index == 0 {
			a.began = true
			added += a.addChoice(choice, chunk.Orchestration)
		}
	}
	return added
}

func (a *chatAssembly) addChoice(choice ChatCompletionChunkChoice, task *ChunkOrchestration) string {
	a.finish = firstText(choice.FinishReason, a.finish)
	a.role = firstText(text(choice.Delta["role"]), a.role)
	fragments, _ := choice.Delta["tool_calls"].([]any)
	a.calls.add(fragments)
	added := text(choice.Delta["content"])
	if task != nil && task.TaskID != "" && task.TaskID != OrchestrationFinalTaskID {
		a.stages.WriteString(added)
		return ""
	}
	a.text.WriteString(added)
	return added
}

func (a *chatAssembly) response() *ChatCompletionResponse {
	answer := a.whole
	answer.Object, answer.Choices = "chat.completion", []ChatCompletionChoice{}
	if !a.began {
		return &answer
	}
	message := ChatMessage{Role: firstText(a.role, "assistant"), ToolCalls: a.calls.whole()}
	if reply := firstText(a.text.String(), a.stages.String()); reply != "" {
		message.Content = reply
	}
	answer.Choices = append(answer.Choices, ChatCompletionChoice{Message: message, FinishReason: a.finish})
	return &answer
}

// toolCallAssembly puts the fragments of streamed tool calls together, by their index.
type toolCallAssembly struct {
	byIndex   map[int]*ToolCall
	arguments map[int]*strings.Builder
}

func (a *toolCallAssembly) add(fragments []any) {
	for position, item := range fragments {
		fragment, ok := item.(map[string]any)
		if !ok {
			continue
		}
		index := position
		if given := number(fragment["index"]); given != nil {
			index = int(*given)
		}
		call, there := a.byIndex[index]
		if !there {
			if a.byIndex == nil {
				a.byIndex, a.arguments = map[int]*ToolCall{}, map[int]*strings.Builder{}
			}
			call = &ToolCall{Type: "function"}
			a.byIndex[index], a.arguments[index] = call, &strings.Builder{}
		}
		function, _ := fragment["function"].(map[string]any)
		call.ID = firstText(text(fragment["id"]), call.ID)
		call.Type = firstText(text(fragment["type"]), call.Type)
		call.Function.Name = firstText(text(function["name"]), call.Function.Name)
		call.ThoughtSignature = firstText(text(fragment["thought_signature"]), call.ThoughtSignature)
		a.arguments[index].WriteString(text(function["arguments"]))
		if extra, ok := fragment["extra_content"].(map[string]any); ok {
			call.ExtraContent = merged(call.ExtraContent, extra)
		}
	}
}

// whole is the calls in the order of their index.
func (a *toolCallAssembly) whole() []ToolCall {
	var calls []ToolCall
	for _, index := range slices.Sorted(maps.Keys(a.byIndex)) {
		call := *a.byIndex[index]
		call.Function.Arguments = a.arguments[index].String()
		calls = append(calls, call)
	}
	return calls
}

// merged puts one object over another, deeply; lists and other values are replaced.
func merged(under, over map[string]any) map[string]any {
	result := maps.Clone(under)
	if result == nil {
		result = make(map[string]any, len(over))
	}
	for name, value := range over {
		below, isObject := result[name].(map[string]any)
		above, both := value.(map[string]any)
		if isObject && both {
			value = merged(below, above)
		}
		result[name] = value
	}
	return result
}

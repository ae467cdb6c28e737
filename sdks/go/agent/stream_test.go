package agent_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"joytoken.example/sdk-go/agent"
)

// sse is a streamed answer.
func sse(events ...string) string {
	return "data: " + strings.Join(events, "\n\ndata: ") + "\n\ndata: [DONE]\n\n"
}

func streamedRun() []gatewayAnswer {
	return []gatewayAnswer{
		{body: sse(
			`{"choices":[{"delta":{"role":"assistant","content":"Let me "}}]}`, `{"choices":[{"delta":{"content":"look."}}]}`,
			`{"choices":[{"delta":{"tool_calls":[{"index":0,"id":"call_a","type":"function","function":{"name":"again","arguments":"{\"n\""}}]}}]}`,
			`{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]},"finish_reason":"tool_calls"}]}`,
			`{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7},"metadata":{"request_id":"req-1","billing":{"credits_used":"0.1"}}}`,
		)},
		{body: sse(`{"choices":[{"delta":{"content":"Do"}}]}`, `{"choices":[{"delta":{"content":"ne."},"finish_reason":"stop"}]}`)},
	}
}

func TestAStreamTellsWhatHappensAsItHappens(t *testing.T) {
	for _, protocol := range []agent.Protocol{agent.OpenAIProtocol, agent.AnthropicProtocol} {
		gateway := newFakeGateway(t, streamedRun()...)
		assistant := agent.New(agent.AgentOptions{
			Model: agent.NewJoyTokenProvider(gateway.client(), agent.WithProtocol(protocol)),
			Tools: []agent.AgentTool{textTool("again", "ok")},
		})
		var told []string
		var result agent.AgentResult
		for event, err := range assistant.Stream(context.Background(), agent.AgentRunOptions{Input: "Go."}) {
			must(t, err)
			line := string(event.Type)
			switch event.Type {
			case agent.EventText:
				line += " " + event.Delta
			case agent.EventToolCall:
				line += " " + event.ToolCall.Function.Arguments
			case agent.EventToolResult:
				line += " " + event.ToolResult.Content
			case agent.EventStep:
				line += fmt.Sprint(" ", event.Step.Index)
			case agent.EventDone:
				result = *event.Result
			}
			told = append(told, line)
		}
		want := "text Let me |text look.|tool_call {\"n\":1}|tool_result ok|step 1|text Do|text ne.|step 2|done"
		if got := strings.Join(told, "|"); got != want {
			t.Errorf("%s: %s", protocol, got)
		}
		if result.FinalText != "Done." || result.Steps[0].RequestID != "req-1" || result.CreditsUsed != "0.100000" ||
			result.Steps[0].Usage.TotalTokens != 7 || result.Steps[0].AssistantMessage.Content != "Let me look." {
			t.Errorf("%s: %+v", protocol, result)
		}
		for _, call := range gateway.seen() {
			if call.body["stream"] != true || call.header.Get("X-JoyToken-On-Disconnect") != "stop" {
				t.Errorf("%s: %s", protocol, call.raw)
			}
		}
	}
}

func TestAStreamedRunIsResumedStreamed(t *testing.T) {
	gateway := newFakeGateway(t, streamedRun()...)
	store := agent.NewMemoryStore()
	options := func(store agent.RunStore) agent.AgentOptions {
		return agent.AgentOptions{
			Model: agent.NewJoyTokenProvider(gateway.client()), Tools: []agent.AgentTool{textTool("again", "ok")}, Store: store,
		}
	}
	hear := func(agent.Event) error { return nil }
	result, err := agent.New(options(&frail{store, 2})).RunStream(context.Background(), agent.AgentRunOptions{Input: "Go."}, hear)
	if !errors.Is(err, errDied) {
		t.Fatal(err)
	}
	text := ""
	result, err = agent.New(options(store)).Resume(context.Background(), result.RunID, agent.ResumeOptions{
		OnEvent: func(event agent.Event) error { text += event.Delta; return nil },
	})
	must(t, err)
	if result.FinalText != "Done." || text != "Done." || result.Steps[0].RequestID != "req-1" {
		t.Fatalf("%q %+v", text, result)
	}
	for _, call := range gateway.seen() {
		if call.body["stream"] != true || call.header.Get("X-JoyToken-On-Disconnect") != "finish" {
			t.Fatal(call.raw, call.header)
		}
	}
}

func TestAProviderThatCannotStreamHasItsTextToldWhole(t *testing.T) {
	var told []string
	result, err := agent.New(agent.AgentOptions{Model: scripted(says("Hi."))}).RunStream(context.Background(),
		agent.AgentRunOptions{Input: "Hello!"}, func(event agent.Event) error {
			told = append(told, string(event.Type)+event.Delta)
			return nil
		})
	must(t, err)
	if strings.Join(told, " ") != "textHi. step done" || result.FinalText != "Hi." {
		t.Fatal(told)
	}
}

// hanging is a gateway whose answer never ends.
func hanging(t *testing.T) *fakeGateway {
	return newFakeGateway(t, gatewayAnswer{body: "data: {\"choices\":[{\"delta\":{\"content\":\"Once\"}}]}\n\n", hang: true})
}

func TestLeavingTheLoopEndsTheCall(t *testing.T) {
	gateway := hanging(t)
	assistant := agent.New(agent.AgentOptions{Model: agent.NewJoyTokenProvider(gateway.client())})
	for event, err := range assistant.Stream(context.Background(), agent.AgentRunOptions{Input: "Go."}) {
		must(t, err)
		if event.Delta == "Once" {
			break
		}
	}
	<-gateway.gone
}

func TestAnErrorOfTheReaderEndsTheRun(t *testing.T) {
	gateway := hanging(t)
	assistant := agent.New(agent.AgentOptions{Model: agent.NewJoyTokenProvider(gateway.client())})
	full := errors.New("the disk is full")
	_, err := assistant.RunStream(context.Background(), agent.AgentRunOptions{Input: "Go."}, func(agent.Event) error { return full })
	if !errors.Is(err, full) {
		t.Fatal(err)
	}
	<-gateway.gone
}

func TestTheEndOfTheContextEndsTheCall(t *testing.T) {
	gateway := hanging(t)
	ctx, cancel := context.WithCancel(context.Background())
	assistant := agent.New(agent.AgentOptions{Model: agent.NewJoyTokenProvider(gateway.client())})
	_, err := assistant.RunStream(ctx, agent.AgentRunOptions{Input: "Go."}, func(agent.Event) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	<-gateway.gone
}

func TestToolsOfOneTurnRunAtOnceAndKeepTheirOrder(t *testing.T) {
	const many = 9
	var running, most atomic.Int32
	arrived := make(chan struct{}, many)
	release := make(chan struct{})
	slow := agent.AgentTool{Name: "slow", Execute: func(_ context.Context, input any, _ agent.ToolExecutionContext) (any, error) {
		now := running.Add(1)
		for before := most.Load(); now > before && !most.CompareAndSwap(before, now); before = most.Load() {
		}
		arrived <- struct{}{}
		<-release
		running.Add(-1)
		return fmt.Sprint(input.(map[string]any)["n"]), nil
	}}
	var asked []string
	for n := range many {
		asked = append(asked, "slow", fmt.Sprintf(`{"n":%d}`, n))
	}
	assistant := agent.New(agent.AgentOptions{
		Model: scripted(calls(asked...), says("Done.")), Tools: []agent.AgentTool{slow}, ParallelToolCalls: true,
	})
	go func() {
		for range agent.DefaultToolConcurrency { // so many must be there at once before any may go on
			<-arrived
		}
		close(release)
	}()
	result, err := assistant.Run(context.Background(), "Go.")
	must(t, err)
	for n, told := range result.Steps[0].ToolResults {
		if told.Content != fmt.Sprint(n) || result.Messages[2+n].Content != told.Content {
			t.Fatalf("%+v", result.Steps[0].ToolResults)
		}
	}
	if most.Load() != agent.DefaultToolConcurrency {
		t.Fatal(most.Load())
	}
}

func TestACancelledToolHasNoResultAndIsRunAgain(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	ran := 0
	tool := agent.AgentTool{Name: "slow", Execute: func(ctx context.Context, _ any, _ agent.ToolExecutionContext) (any, error) {
		if ran++; ran == 2 {
			cancel()
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return ran, nil
	}}
	store := agent.NewMemoryStore()
	assistant := agent.New(agent.AgentOptions{
		Model: scripted(calls("slow", "{}", "slow", "{}", "slow", "{}"), says("Done.")), Tools: []agent.AgentTool{tool}, Store: store,
	})
	result, err := assistant.Run(ctx, "Go.")
	if !errors.Is(err, context.Canceled) || len(result.Steps[0].ToolResults) != 1 {
		t.Fatal(err, result)
	}
	result, err = assistant.Resume(context.Background(), result.RunID, agent.ResumeOptions{})
	must(t, err)
	if told := result.Steps[0].ToolResults; len(told) != 3 || told[0].Content != "1" || told[1].Content != "3" || told[2].Content != "4" {
		t.Fatalf("%+v", told)
	}
}

func TestAToolThatEndsItsGoroutineIsAnError(t *testing.T) {
	tool := agent.AgentTool{Name: "quits", Execute: func(context.Context, any, agent.ToolExecutionContext) (any, error) {
		runtime.Goexit()
		return nil, nil
	}}
	result, err := agent.New(agent.AgentOptions{
		Model: scripted(calls("quits", "{}"), says("Done.")), Tools: []agent.AgentTool{tool},
	}).Run(context.Background(), "Go.")
	must(t, err)
	if told := result.Steps[0].ToolResults[0]; !told.IsError || !strings.Contains(told.Content, "ended its goroutine") {
		t.Fatalf("%+v", told)
	}
}

func TestNothingIsLeftRunning(t *testing.T) {
	before := runtime.NumGoroutine()
	gateway := newFakeGateway(t, streamedRun()...)
	assistant := agent.New(agent.AgentOptions{
		Model: agent.NewJoyTokenProvider(gateway.client()), Tools: []agent.AgentTool{textTool("again", "ok")}, ToolConcurrency: 4,
	})
	for range assistant.Stream(context.Background(), agent.AgentRunOptions{Input: "Go."}) {
		break
	}
	gateway.CloseClientConnections()
	gateway.Close()
	for range 200 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	stacks := make([]byte, 1<<16)
	t.Fatalf("%s", stacks[:runtime.Stack(stacks, true)])
}

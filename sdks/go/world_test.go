package joytoken

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
)

// The checks against a real gateway. `python -m tests.sdk.world -- go test ./...`, in the root of the clone, gives one;
// without it there is nothing that they could talk to.

const stubModel = "stub/g"

func inWorld(t *testing.T) (client *Client, ok bool) {
	t.Helper()
	url := os.Getenv("JOYTOKEN_TEST_URL")
	if url == "" {
		t.Log("no gateway: run in tests.sdk.world")
		return nil, false
	}
	return worldClient("JOYTOKEN_TEST_KEY"), true
}

func worldClient(key string) *Client {
	return NewClient(WithAPIKey(os.Getenv(key)), WithAPIBaseURL(os.Getenv("JOYTOKEN_TEST_URL")),
		WithDefaultLocalTools(false))
}

// stub tells the scripted provider what to answer for a model.
func stub(t *testing.T, model string, answers ...any) {
	t.Helper()
	body, _ := json.Marshal(map[string]any{"model": model, "answers": answers})
	response, err := http.Post(os.Getenv("JOYTOKEN_TEST_STUB_URL")+"/_script", "application/json", bytes.NewReader(body))
	if err != nil || response.StatusCode != 200 {
		t.Fatal(response, err)
	}
	response.Body.Close()
}

func stubCalls(t *testing.T, model string) []map[string]any {
	t.Helper()
	response, err := http.Get(os.Getenv("JOYTOKEN_TEST_STUB_URL") + "/_calls?model=" + model)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, _ := io.ReadAll(response.Body)
	return read[struct{ Calls []map[string]any }](t, data).Calls
}

func echo(text string) ChatCompletionRequest {
	return ChatCompletionRequest{Model: "echo/echo", Messages: []ChatMessage{{Role: "user", Content: text}}}
}

var decimal = regexp.MustCompile(`^\d+\.\d{6,9}$`)

func TestCheck16And18And19And20And26WholeAnswer(t *testing.T) {
	client, ok := inWorld(t)
	if !ok {
		return
	}
	for _, model := range []string{ModelAuto, "echo/echo"} {
		request := echo("Hello from Go")
		request.Model = model
		answer, err := client.CreateChatCompletion(context.Background(), request)
		if err != nil {
			t.Fatal(err)
		}
		if answer.Text() != "Hello from Go" || answer.Object != "chat.completion" || answer.ID == "" ||
			answer.Created == 0 || answer.Model == "" {
			t.Fatalf("got %+v", answer)
		}
		m := answer.CallMetadata()
		if m.Model == "" || m.Provider != "echo" || !strings.HasPrefix(m.RequestID, "req-") ||
			answer.RequestID() != m.RequestID || !decimal.MatchString(m.Billing.CreditsUsed) ||
			*m.Billing.InputTokens != answer.Usage.PromptTokens || m.Billing.Ending != "completed" ||
			m.Latency.TotalMS == nil {
			t.Fatalf("got %+v", m)
		}
	}
	own := WithCall(context.Background(), CallOptions{Headers: map[string]string{"X-Request-ID": "mine-1"}})
	answer, err := client.CreateChatCompletion(own, echo("hi"))
	if err != nil || !strings.HasPrefix(answer.RequestID(), "req-") {
		t.Fatalf("%v, %v", answer, err)
	}
}

func TestCheck27UnknownModel(t *testing.T) {
	client, ok := inWorld(t)
	if !ok {
		return
	}
	request := echo("hi")
	request.Model = "nobody/nothing"
	_, err := client.CreateChatCompletion(context.Background(), request)
	var apiErr *APIError
	if !errors.As(err, &apiErr) || apiErr.Code != ErrorCodeNotFound || apiErr.Reason != "unknown_model" ||
		apiErr.RequestID == "" {
		t.Fatalf("got %#v", err)
	}
}

func TestCheck28And31FieldsReachTheProvider(t *testing.T) {
	client, ok := inWorld(t)
	if !ok {
		return
	}
	stub(t, stubModel, map[string]any{"json": value(t, []byte(said("hi")))})
	half, nine := 0.5, 9
	request := ChatCompletionRequest{
		Model: stubModel, Temperature: &half, TopP: &half, MaxTokens: &nine, Stop: []string{"END"}, ToolChoice: "auto",
		Tools: []ChatTool{{Type: "function", Function: ChatToolFunction{Name: "add", Parameters: map[string]any{"type": "object"}}}},
		Messages: []ChatMessage{
			{Role: "developer", Content: "Be brief."}, {Role: "user", Content: "hi"},
			{Role: "assistant", ToolCalls: []ToolCall{{ID: "c1", Type: "function", Function: ToolFunction{Name: "add", Arguments: "{}"},
				ThoughtSignature: "sig", ExtraContent: map[string]any{"google": map[string]any{"a": 1}}}}},
			{Role: "tool", ToolCallID: "c1", Name: "add", Content: "3"},
		},
	}
	if _, err := client.CreateChatCompletion(context.Background(), request); err != nil {
		t.Fatal(err)
	}
	body := stubCalls(t, stubModel)[0]["body"].(map[string]any)
	sent := asJSON(t, request).(map[string]any)
	for _, name := range []string{"temperature", "top_p", "stop", "tools", "tool_choice", "messages"} {
		mustEqual(t, body[name], sent[name])
	}
}

func TestCheck33And34And35And38Stream(t *testing.T) {
	client, ok := inWorld(t)
	if !ok {
		return
	}
	request := echo("a stream of some words")
	request.Extra = map[string]any{"stream_options": map[string]any{"include_usage": true}}
	stream, err := client.StreamChatCompletion(context.Background(), request)
	if err != nil {
		t.Fatal(err)
	}
	said, usage := "", (*Usage)(nil)
	var metadata *CallMetadata
	for chunk, err := range stream.All() {
		if err != nil || metadata != nil || chunk.Object != "chat.completion.chunk" {
			t.Fatal(chunk, err)
		}
		said += chunk.Text()
		metadata = chunk.CallMetadata()
		if chunk.Usage != nil {
			usage = chunk.Usage
		}
	}
	if said != "a stream of some words" || metadata == nil || metadata.Latency.FirstTokenMS == nil || usage == nil ||
		*metadata.Billing.OutputTokens != usage.CompletionTokens {
		t.Fatalf("%q, %+v, %+v", said, metadata, usage)
	}
}

// A stream that its caller leaves ends at the provider at once, is billed once, and holds nothing.
func TestCheck40StreamThatIsLeft(t *testing.T) {
	client, ok := inWorld(t)
	if !ok {
		return
	}
	const model = "stub/h"
	delta := value(t, []byte(`{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"word "}}]}`))
	for name, leave := range map[string]func(*ChatCompletionStream, context.CancelFunc){
		"closed":    func(s *ChatCompletionStream, _ context.CancelFunc) { s.Close() },
		"cancelled": func(_ *ChatCompletionStream, cancel context.CancelFunc) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			stub(t, model, map[string]any{"events": []any{delta}, "end": "hang"})
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			request := echo("hi")
			request.Model = model
			stream, err := client.StreamChatCompletion(ctx, request)
			if err != nil {
				t.Fatal(err)
			}
			chunk, err := stream.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if openHolds(t) == 0 {
				t.Fatal("nothing is held while the stream is under way")
			}
			leave(stream, cancel)
			left := time.Now()
			eventually(t, "nothing is held", func() bool { return openHolds(t) == 0 })
			eventually(t, "the provider's one call is cancelled", func() bool {
				calls := stubCalls(t, model)
				return len(calls) == 1 && calls[0]["cancelled"] == true
			})
			receipt := receiptOf(t, client, chunk.RequestID())
			mustEqual(t, receipt.Ending.Name, "client_gone")
			// Other tests may hold something at the same time; when this hold ended is on its receipt.
			ended, err := time.Parse(time.RFC3339, receipt.Request.FinishedAt)
			if err != nil || ended.Sub(left) > time.Second {
				t.Fatalf("held until %v after it was left, %v", ended.Sub(left), err)
			}
		})
	}
}

var holds = regexp.MustCompile(`(?m)^joytoken_escrow_open_holds(?:\{[^}]*\})? (\d+)`)

// openHolds is how many requests of the gateway hold money, by its metrics.
func openHolds(t *testing.T) int {
	t.Helper()
	request, _ := http.NewRequest(http.MethodGet, os.Getenv("JOYTOKEN_TEST_URL")+"/metrics", nil)
	request.Header.Set("Authorization", "Bearer "+os.Getenv("JOYTOKEN_TEST_ADMIN_KEY"))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, _ := io.ReadAll(response.Body)
	found := holds.FindAllSubmatch(data, -1)
	if found == nil {
		t.Fatalf("no holds in %d: %.300s", response.StatusCode, data)
	}
	sum := 0
	for _, match := range found {
		sum += int(read[float64](t, match[1]))
	}
	return sum
}

// receiptOf waits for the receipt, which is there within a moment of the answer.
func receiptOf(t *testing.T, client *Client, requestID string) (receipt *Receipt) {
	t.Helper()
	eventually(t, "the receipt of "+requestID, func() bool {
		var err error
		receipt, err = client.GetReceipt(context.Background(), requestID)
		var apiErr *APIError
		if err != nil && (!errors.As(err, &apiErr) || apiErr.Code != ErrorCodeNotFound) {
			t.Fatal(err)
		}
		return err == nil
	})
	return receipt
}

func TestCheck44And45ProviderThatFails(t *testing.T) {
	client, ok := inWorld(t)
	if !ok {
		return
	}
	const model = "stub/i"
	stub(t, model, map[string]any{"status": 400, "json": map[string]any{"error": map[string]any{"message": "no such thing"}}})
	request := echo("hi")
	request.Model = model
	_, err := client.StreamChatCompletion(context.Background(), request)
	var apiErr *APIError
	if !errors.As(err, &apiErr) || apiErr.StatusCode < 400 || apiErr.RequestID == "" {
		t.Fatalf("got %v", err)
	}
}

func TestWorldRefusals(t *testing.T) {
	if _, ok := inWorld(t); !ok {
		return
	}
	for key, want := range map[string][]string{
		"JOYTOKEN_TEST_EMPTY_KEY":   {string(ErrorCodeInsufficientQuota), "insufficient_quota", "wallet_empty"},
		"JOYTOKEN_TEST_ECONOMY_KEY": {string(ErrorCodePermission), "policy_rejected", "tier_not_allowed"},
	} {
		_, err := worldClient(key).CreateChatCompletion(context.Background(), echo("hi"))
		var apiErr *APIError
		if !errors.As(err, &apiErr) {
			t.Fatalf("%s: %v", key, err)
		}
		mustEqual(t, []string{string(apiErr.Code), apiErr.Type, apiErr.Reason}, want)
	}
}

func TestWorldReplays(t *testing.T) {
	client, ok := inWorld(t)
	if !ok {
		return
	}
	ctx := WithCall(context.Background(), CallOptions{IdempotencyKey: "go-" + randomUUID()})
	first, err := client.CreateChatCompletion(ctx, echo("once"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := client.CreateChatCompletion(ctx, echo("once"))
	if err != nil || again.RequestID() != first.RequestID() {
		t.Fatalf("%v, %v", again, err)
	}
	if _, err = client.CreateChatCompletion(ctx, echo("another")); !IsAPIError(err) {
		t.Fatalf("another body under the same key: %v", err)
	}
}

func TestWorldCatalog(t *testing.T) {
	client, ok := inWorld(t)
	if !ok {
		return
	}
	ctx := context.Background()
	models, err := client.ListModels(ctx)
	if err != nil || len(models.Data.Models) == 0 {
		t.Fatal(models, err)
	}
	meta, err := client.GetModelMeta(ctx)
	if err != nil || len(meta.Data.Tiers) != 3 {
		t.Fatal(meta, err)
	}
	pricing, err := client.GetPricing(ctx)
	if err != nil || len(pricing.Data.Tiers) != 3 || pricing.Data.Tiers[0].USDPerCredit == "" {
		t.Fatal(pricing, err)
	}
}

func TestWorldKeyRunAndReceipt(t *testing.T) {
	if _, ok := inWorld(t); !ok {
		return
	}
	client := worldClient("JOYTOKEN_TEST_RUN_KEY")
	run := &Run{ID: "go-" + randomUUID(), Workflow: "nightly", Step: "1", Budget: "5"}
	answer, err := client.CreateChatCompletion(WithCall(context.Background(), CallOptions{Run: run}), echo("hi"))
	if err != nil {
		t.Fatal(err)
	}
	receipt := receiptOf(t, client, answer.RequestID())
	mustEqual(t, []string{receipt.Request.RunID, receipt.Ending.Name, receipt.Money.Settled},
		[]string{run.ID, "completed", answer.CallMetadata().Billing.CreditsUsed})
	tree, err := client.GetRun(context.Background(), run.ID)
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Runs) != 1 || len(tree.Requests) != 1 || tree.Workflow != "nightly" || tree.Requests[0].Step != "1" ||
		tree.Runs[0].Budget == nil || tree.Requests[0].RequestID != answer.RequestID() {
		t.Fatalf("got %+v", tree)
	}
	key, err := client.GetKey(context.Background())
	if err != nil || !strings.EqualFold(key.Status, "active") || len(key.Wallets) != 3 || key.Wallets[0].Available == "" {
		t.Fatalf("%+v, %v", key, err)
	}
}

func TestWorldMessages(t *testing.T) {
	client, ok := inWorld(t)
	if !ok {
		return
	}
	answer, err := client.CreateMessage(context.Background(), MessageRequest{
		Model: "echo/echo", MaxTokens: 50, System: "Be brief.", Messages: []MessageParam{{Role: "user", Content: "hi"}},
	})
	if err != nil || answer.Text() != "hi" || answer.StopReason != "end_turn" || answer.CallMetadata().Tier == "" {
		t.Fatalf("%+v, %v", answer, err)
	}
}

package agent_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	joytoken "joytoken.example/sdk-go"
	"joytoken.example/sdk-go/agent"
)

// inWorld runs a test with a client of a real gateway, where `python -m tests.sdk.world` has started one; the variable
// names its key. Without a gateway the other tests have to do.
func inWorld(t *testing.T, key string, test func(t *testing.T, client *joytoken.Client)) {
	t.Helper()
	if url := os.Getenv("JOYTOKEN_TEST_URL"); url != "" {
		test(t, joytoken.NewClient(joytoken.WithAPIBaseURL(url), joytoken.WithAPIKey(os.Getenv(key))))
	}
}

// echo is an agent on the built-in model, which calls the tool that is forced and then says what that returned.
func echo(client *joytoken.Client, options agent.AgentOptions) *agent.Agent {
	options.Model = agent.NewJoyTokenProvider(client, agent.WithModel("echo/echo"))
	options.Tools = append(options.Tools, textTool("get_weather", "It is sunny."))
	options.ToolChoice = "required"
	return agent.New(options)
}

func TestARunOnARealGateway(t *testing.T) {
	inWorld(t, "JOYTOKEN_TEST_KEY", func(t *testing.T, client *joytoken.Client) {
		result, err := echo(client, agent.AgentOptions{}).Run(context.Background(), "The weather?")
		must(t, err)
		if result.FinalText != "It is sunny." || len(result.Steps) != 2 || len(result.RequestIDs) != 2 ||
			result.CreditsUsed == "0" || result.Steps[0].CallMetadata().Billing.Ending != "completed" {
			t.Fatalf("%+v", result)
		}
		for _, id := range result.RequestIDs {
			if _, err := client.GetReceipt(context.Background(), id); err != nil {
				t.Error(err)
			}
		}
	})
}

func TestAStreamOnARealGateway(t *testing.T) {
	inWorld(t, "JOYTOKEN_TEST_KEY", func(t *testing.T, client *joytoken.Client) {
		text, result := "", agent.AgentResult{}
		for event, err := range echo(client, agent.AgentOptions{}).Stream(context.Background(), agent.AgentRunOptions{Input: "Go."}) {
			must(t, err)
			if text += event.Delta; event.Type == agent.EventDone {
				result = *event.Result
			}
		}
		if text != "It is sunny." || result.FinalText != text || len(result.RequestIDs) != 2 || result.Usage.TotalTokens == 0 {
			t.Fatalf("%q %+v", text, result)
		}
	})
}

func TestRefusalsOfARealGateway(t *testing.T) {
	for key, want := range map[string]string{
		"JOYTOKEN_TEST_EMPTY_KEY": "insufficient_quota:wallet_empty", "JOYTOKEN_TEST_ECONOMY_KEY": "policy_rejected:tier_not_allowed",
	} {
		inWorld(t, key, func(t *testing.T, client *joytoken.Client) {
			result, err := echo(client, agent.AgentOptions{}).Run(context.Background(), "The weather?")
			must(t, err)
			if result.StoppedBy != want || result.Refusal == nil || result.Refusal.RequestID == "" {
				t.Errorf("%s: %+v", key, result)
			}
		})
	}
}

func TestARealGatewayHoldsARunToItsBudget(t *testing.T) {
	inWorld(t, "JOYTOKEN_TEST_RUN_KEY", func(t *testing.T, client *joytoken.Client) {
		result, err := echo(client, agent.AgentOptions{MaxTokens: agent.Int(48)}).RunWithOptions(context.Background(), agent.AgentRunOptions{
			Input: "The weather?", Run: &agent.RunOptions{Budget: "0.000000001", Workflow: "nightly"},
		})
		must(t, err)
		if !strings.HasPrefix(result.StoppedBy, "insufficient_quota:") || result.Refusal.StatusCode != 402 {
			t.Fatalf("%+v", result)
		}
	})
}

func TestARealGatewayGivesAPaidAnswerAgain(t *testing.T) {
	inWorld(t, "JOYTOKEN_TEST_KEY", func(t *testing.T, client *joytoken.Client) {
		store := agent.NewFileStore(t.TempDir())
		before, err := echo(client, agent.AgentOptions{Store: &frail{store, 1}}).Run(context.Background(), "The weather?")
		if !errors.Is(err, errDied) || len(before.RequestIDs) != 1 {
			t.Fatal(err, before)
		}
		after, err := echo(client, agent.AgentOptions{Store: store}).Resume(context.Background(), before.RunID, agent.ResumeOptions{})
		must(t, err)
		if after.FinalText != "It is sunny." || after.RequestIDs[0] != before.RequestIDs[0] || len(after.RequestIDs) != 2 {
			t.Fatalf("%v %+v", before.RequestIDs, after)
		}
	})
}

func TestStructuredOutputOfARealGateway(t *testing.T) {
	inWorld(t, "JOYTOKEN_TEST_KEY", func(t *testing.T, client *joytoken.Client) {
		result, err := agent.New(agent.AgentOptions{
			Model: agent.NewJoyTokenProvider(client, agent.WithModel("echo/echo")), Output: agent.OutputFor[weather]("weather"),
		}).Run(context.Background(), "The weather?")
		must(t, err)
		if got, err := agent.OutputAs[weather](result); err != nil || got != (weather{"clear", 0}) {
			t.Fatal(got, err)
		}
	})
}

// A run that nobody waits for any more ends its call at the provider.
func TestARealGatewayEndsTheCallOfARunThatIsEnded(t *testing.T) {
	inWorld(t, "JOYTOKEN_TEST_KEY", func(t *testing.T, client *joytoken.Client) {
		stub := os.Getenv("JOYTOKEN_TEST_STUB_URL")
		script := `{"model": "stub/l", "answers": [{"delay_ms": 60000, "json": {}}]}`
		answer, err := http.Post(stub+"/_script", "application/json", strings.NewReader(script))
		must(t, err)
		answer.Body.Close()
		calls := func(word string) bool {
			answer, err := http.Get(stub + "/_calls?model=stub/l")
			must(t, err)
			defer answer.Body.Close()
			said, err := io.ReadAll(answer.Body)
			must(t, err)
			return strings.Contains(strings.ReplaceAll(string(said), " ", ""), word)
		}
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() {
			model := agent.NewJoyTokenProvider(client, agent.WithModel("stub/l"))
			_, err := agent.New(agent.AgentOptions{Model: model}).Run(ctx, "Go.")
			ended <- err
		}()
		soon(t, func() bool { return calls(`"cancelled":false`) })
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
		soon(t, func() bool { return calls(`"cancelled":true`) })
	})
}

func soon(t *testing.T, holds func() bool) {
	t.Helper()
	for until := time.Now().Add(30 * time.Second); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("it did not come about")
		}
	}
}

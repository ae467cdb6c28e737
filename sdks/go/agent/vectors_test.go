package agent

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	joytoken "joytoken.example/sdk-go"
)

// eachVector runs the cases of a file of spec/vectors/sdk that are for Go: see the README there.
func eachVector[I, E any](t *testing.T, file string, run func(t *testing.T, input I, expect E)) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "spec", "vectors", "sdk", file+".json"))
	if err != nil {
		t.Fatalf("the shared vectors must be there: %v", err)
	}
	var vectors struct {
		Cases []struct {
			Name   string
			Input  I
			Expect E
			Only   []string
		}
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&vectors); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, c := range vectors.Cases {
		if c.Only == nil || slices.Contains(c.Only, "go") {
			ran++
			t.Run(c.Name, func(t *testing.T) { run(t, c.Input, c.Expect) })
		}
	}
	if ran == 0 {
		t.Fatalf("%s has no case for Go", file)
	}
}

func TestVectorsOfNames(t *testing.T) {
	type call struct {
		Parent string `json:"parent"`
		CallID string `json:"tool_call_id"`
	}
	eachVector(t, "child-run-ids", func(t *testing.T, input call, expect string) {
		if got := childRunID(input.Parent, input.CallID); got != expect {
			t.Errorf("got %q, want %q", got, expect)
		}
	})
	eachVector(t, "state-files", func(t *testing.T, input, expect string) {
		if got := stateFileName(input); got != expect {
			t.Errorf("got %q, want %q", got, expect)
		}
	})
}

func TestVectorsOfCredits(t *testing.T) {
	eachVector(t, "credits", func(t *testing.T, input []*string, expect string) {
		sum := "0"
		for _, credits := range input {
			if credits != nil {
				sum = addCredits(sum, *credits)
			}
		}
		got, err := parseCredits(sum)
		want, wantErr := parseCredits(expect)
		if err != nil || wantErr != nil || got.Cmp(want) != 0 {
			t.Errorf("got %s, want %s", sum, expect)
		}
	})
}

func TestVectorsOfStopConditions(t *testing.T) {
	type input struct {
		Condition struct {
			Steps   *int     `json:"step_count_is"`
			Calls   *int     `json:"max_tool_calls"`
			Cost    *float64 `json:"max_cost"`
			Credits *string  `json:"max_credits"`
		}
		State struct {
			Step    int
			Calls   int `json:"tool_calls"`
			Cost    *float64
			Credits string `json:"credits_used"`
		}
	}
	type expect struct {
		Stop   bool
		Reason *string
	}
	eachVector(t, "stop-conditions", func(t *testing.T, in input, want expect) {
		var condition StopCondition
		switch {
		case in.Condition.Steps != nil:
			condition = StepCountIs(*in.Condition.Steps)
		case in.Condition.Calls != nil:
			condition = MaxToolCalls(*in.Condition.Calls)
		case in.Condition.Cost != nil:
			condition = MaxCost(*in.Condition.Cost)
		default:
			condition = MaxCredits(*in.Condition.Credits)
		}
		state := AgentState{Step: in.State.Step, ToolCalls: in.State.Calls, CreditsUsed: in.State.Credits}
		state.Usage.Cost = in.State.Cost
		got := condition(state)
		if got.Stop != want.Stop || want.Stop && got.Reason != *want.Reason {
			t.Errorf("got %+v", got)
		}
	})
}

func TestVectorsOfRefusals(t *testing.T) {
	type input struct {
		Status int
		Error  struct{ Type, Code string }
	}
	eachVector(t, "refusals", func(t *testing.T, in input, want *string) {
		refusal := refusalOf(&joytoken.APIError{StatusCode: in.Status, Type: in.Error.Type, Reason: in.Error.Code})
		if (refusal != nil) != (want != nil) || want != nil && reasonOf(refusal) != *want {
			t.Errorf("got %v", refusal)
		}
	})
}

func TestVectorsOfSchemas(t *testing.T) {
	type input struct {
		Schema map[string]any
		Value  any
	}
	eachVector(t, "schema-checks", func(t *testing.T, in input, want bool) {
		compiled, err := compileSchema(in.Schema)
		if err != nil {
			t.Fatal(err)
		}
		if err := compiled.check(in.Value); (err == nil) != want {
			t.Errorf("got %v", err)
		}
	})
}

func TestVectorsOfStates(t *testing.T) {
	type expect struct {
		Next    *string
		Tools   []string
		Pending []string
	}
	eachVector(t, "agent-states", func(t *testing.T, input json.RawMessage, want expect) {
		state, err := ParseRunState(input)
		if err != nil {
			t.Fatal(err)
		}
		saved, err := state.encode()
		if err != nil {
			t.Fatal(err)
		}
		if got, want := exactly(t, saved), exactly(t, input); !reflect.DeepEqual(got, want) {
			t.Errorf("saved again it is\n%s\nand it was\n%s", saved, input)
		}
		pending := []string{}
		for _, call := range state.Pending {
			pending = append(pending, call.ToolCallID)
		}
		if !slices.Equal(pending, want.Pending) {
			t.Errorf("pending: %v", pending)
		}
		if next := want.Next; next != nil && *next == "tools" {
			open := []string{}
			for _, at := range state.openCalls() {
				open = append(open, state.lastStep().AssistantMessage.ToolCalls[at].ID)
			}
			if !slices.Equal(open, want.Tools) {
				t.Errorf("open calls: %v", open)
			}
		}
	})
	eachVector(t, "agent-states-broken", func(t *testing.T, input json.RawMessage, _ any) {
		if state, err := ParseRunState(input); err == nil {
			t.Errorf("it is read as %+v", state)
		}
	})
}

// exactly is JSON with its numbers as they are written.
func exactly(t *testing.T, data []byte) any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

func TestVectorsOfUsage(t *testing.T) {
	eachVector(t, "usage-totals", func(t *testing.T, input []*joytoken.Usage, want UsageSummary) {
		got := UsageSummary{}
		for _, usage := range input {
			got.add(usage)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

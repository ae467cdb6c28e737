package agent

import (
	"fmt"
	"strconv"

	joytoken "joytoken.example/sdk-go"
)

// AgentState is what a stop condition sees.
type AgentState struct {
	// Step is how many model calls were answered.
	Step int
	// ToolCalls is how many tool calls have a result.
	ToolCalls int
	Usage     UsageSummary
	Messages  []joytoken.ChatMessage
	// CreditsUsed is the exact sum of what the gateway charged, a decimal text.
	CreditsUsed string
}

// StopDecision says whether a run ends, and why; a reason that is empty becomes "custom".
type StopDecision struct {
	Stop   bool
	Reason string
}

// StopCondition decides, before each model call, whether a run ends.
type StopCondition func(AgentState) StopDecision

// StepCountIs stops after n model calls, by the reason step_count:n.
func StepCountIs(n int) StopCondition {
	return func(state AgentState) StopDecision {
		return StopDecision{Stop: state.Step >= n, Reason: fmt.Sprintf("step_count:%d", n)}
	}
}

// MaxToolCalls stops after n tool calls, by the reason max_tool_calls:n. The calls of one turn are all run.
func MaxToolCalls(n int) StopCondition {
	return func(state AgentState) StopDecision {
		return StopDecision{Stop: state.ToolCalls >= n, Reason: fmt.Sprintf("max_tool_calls:%d", n)}
	}
}

// MaxCost stops once the cost that answers reported in their usage reaches credits, by the reason max_cost:x. Answers
// that report none never stop it: see MaxCredits.
func MaxCost(credits float64) StopCondition {
	reason := "max_cost:" + strconv.FormatFloat(credits, 'f', -1, 64)
	return func(state AgentState) StopDecision {
		return StopDecision{Stop: state.Usage.Cost != nil && *state.Usage.Cost >= credits, Reason: reason}
	}
}

// MaxCredits stops once the credits that the gateway charged, added exactly, reach an amount such as "0.5", by the reason
// max_credits:x. A text that is no amount allows nothing. The last call can go beyond it; a bound that cannot be passed
// is RunOptions.Budget.
func MaxCredits(credits string) StopCondition {
	limit, err := parseCredits(credits)
	return func(state AgentState) StopDecision {
		used, usedErr := parseCredits(state.CreditsUsed)
		stop := err != nil || usedErr == nil && used.Cmp(limit) >= 0
		return StopDecision{Stop: stop, Reason: "max_credits:" + credits}
	}
}

// decide is the reason of the first condition that stops; empty where none does.
func decide(conditions []StopCondition, state AgentState) string {
	for _, condition := range conditions {
		if condition == nil {
			continue
		}
		if decision := condition(state); decision.Stop {
			if decision.Reason == "" {
				return "custom"
			}
			return decision.Reason
		}
	}
	return ""
}

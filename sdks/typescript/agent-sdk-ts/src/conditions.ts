import { parseCredits } from "./credits.js";
import type { AgentState, StopCondition } from "./types.js";

// A bound that is no number stops at once: a mistake must not take it away.

/** Stops after n model calls, by the reason `step_count:n`. */
export function stepCountIs(n: number): StopCondition {
  return (state) => ({ stop: !(state.step < n), reason: `step_count:${n}` });
}

/** Stops after n tool calls, by the reason `max_tool_calls:n`. The calls of one turn are all run. */
export function maxToolCalls(n: number): StopCondition {
  return (state) => ({ stop: !(state.toolCalls < n), reason: `max_tool_calls:${n}` });
}

/** Stops once the cost that answers told in their usage reaches `credits`, by the reason `max_cost:x`. */
export function maxCost(credits: number): StopCondition {
  return (state) => ({ stop: !((state.usage.cost ?? 0) < credits), reason: `max_cost:${credits}` });
}

/**
 * Stops once the credits that the gateway charged, added exactly, reach an amount such as `"0.5"`, by the reason
 * `max_credits:x`. The last call can go beyond it; a bound that cannot be passed is the run's `budget`.
 *
 * @throws Error where the text is no amount.
 */
export function maxCredits(credits: string): StopCondition {
  const limit = parseCredits(credits);
  return (state) => ({ stop: parseCredits(state.creditsUsed) >= limit, reason: `max_credits:${credits}` });
}

/** The reason of the first condition that stops; undefined where none does. */
export function decide(conditions: StopCondition[], state: AgentState): string | undefined {
  for (const condition of conditions) {
    const decision = condition(state);
    if (decision === true) return "custom";
    if (typeof decision === "object" && decision.stop) return decision.reason || "custom";
  }
  return undefined;
}

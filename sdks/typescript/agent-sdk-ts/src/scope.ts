import { addCredits } from "./credits.js";
import { addUsage, type RunIdentityState, type RunState, type UsageState } from "./state.js";
import type { RunStore } from "./store.js";
import type { Decision, ToolExecutionContext } from "./types.js";

const SCOPE = Symbol("joytoken.agent.scope");

/** What a tool call knows of the run that it belongs to, so that an agent within it is a child of that run. */
export interface Scope {
  run: RunIdentityState;
  store: RunStore | undefined;
  /** Unique within the run. */
  callId: string;
  /** Decisions on calls of the child run. */
  decisions: Record<string, Decision>;
  /** What child runs have cost. */
  usage: UsageState;
  credits: string;
}

/** A context with a scope; copies of it keep the scope. */
export function withScope(context: ToolExecutionContext, scope: Scope): ToolExecutionContext {
  return Object.assign(context, { [SCOPE]: scope });
}

/** The scope of a tool call; undefined outside of an agent. */
export function scopeOf(context: ToolExecutionContext | undefined): Scope | undefined {
  return (context as { [SCOPE]?: Scope } | undefined)?.[SCOPE];
}

/** Counts what a child run has cost. */
export function addChild(scope: Scope, state: RunState): void {
  addUsage(scope.usage, { ...state.usage, cost: state.usage.cost ?? undefined });
  scope.credits = addCredits(scope.credits, state.credits_used);
}

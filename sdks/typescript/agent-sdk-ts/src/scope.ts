import type { RunIdentityState, RunState } from "./state.js";
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
  /** The child runs that the call began or went on with: what they have cost counts, also where they fail. */
  children: RunState[];
}

/** A context with a scope; copies of it keep the scope. */
export function withScope(context: ToolExecutionContext, scope: Scope): ToolExecutionContext {
  return Object.assign(context, { [SCOPE]: scope });
}

/** The scope of a tool call; undefined outside of an agent. */
export function scopeOf(context: ToolExecutionContext | undefined): Scope | undefined {
  return (context as { [SCOPE]?: Scope } | undefined)?.[SCOPE];
}

import type { CallMetadata, ChatMessage, ToolCall, Usage } from "@joytoken/client-sdk-ts";
import { addCredits, isCredits } from "./credits.js";
import { checkIdentity } from "./identity.js";

/** How far a run is: `running` is also one whose process has died, `pending` one that waits for decisions. */
export type RunStatus = "running" | "pending" | "done" | "stopped";

const STATUSES: readonly unknown[] = ["running", "pending", "done", "stopped"] satisfies RunStatus[];
const VERSION = 1;

/** A run's names, as they are kept. */
export interface RunIdentityState {
  id: string;
  parent_id: string | null;
  workflow: string | null;
  budget: string | null;
}

/** A tool call that waits for a decision. */
export interface PendingCall {
  tool_call_id: string;
  tool_name: string;
  /** The parsed arguments. */
  input: unknown;
}

/** What was told to the model of one tool call, as it is kept. */
export interface ToolResultState {
  tool_call_id: string;
  tool_name: string;
  content: string;
  is_error: boolean;
}

/** One model call and its tools, as they are kept. */
export interface StepState {
  index: number;
  assistant_message: ChatMessage;
  /** Fewer than there are calls, where tools are still to be run. */
  tool_results: ToolResultState[];
  usage: Usage | null;
  request_id?: string;
  metadata?: CallMetadata;
}

/** Tokens and cost of a run, as they are kept. */
export interface UsageState {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
  cost: number | null;
}

/** The whole of a run as JSON: what is needed to go on with it elsewhere. The SDKs for Go and Python have the same. */
export interface RunState {
  version: 1;
  run: RunIdentityState;
  status: RunStatus;
  /** Model calls that were answered. */
  step: number;
  /** Tool calls that have a result. */
  tool_calls: number;
  messages: ChatMessage[];
  steps: StepState[];
  usage: UsageState;
  /** An exact decimal text. */
  credits_used: string;
  pending: PendingCall[];
  final_text: string;
  stopped_by: string | null;
}

/** A run before its first model call. */
export function newRunState(run: RunIdentityState, messages: ChatMessage[]): RunState {
  return {
    version: VERSION,
    run,
    status: "running",
    step: 0,
    tool_calls: 0,
    messages,
    steps: [],
    usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0, cost: null },
    credits_used: "0",
    pending: [],
    final_text: "",
    stopped_by: null,
  };
}

/** A state from its JSON, parsed or as text; a copy. @throws Error that says what is wrong with it. */
export function parseRunState(json: unknown): RunState {
  const read: unknown = typeof json === "string" ? JSON.parse(json) : json;
  if (!isObject(read)) throw new Error("a run's state must be a JSON object");
  const state = structuredClone(read) as unknown as RunState;
  if (state.version !== VERSION) {
    throw new Error(`the state has version ${JSON.stringify(state.version)}; this SDK reads version ${VERSION}`);
  }
  if (!isObject(state.run)) throw new Error("the state has no run");
  checkIdentity({
    id: state.run.id ?? "",
    parent_id: state.run.parent_id ?? null,
    workflow: state.run.workflow ?? null,
    budget: state.run.budget ?? null,
  });
  if (!STATUSES.includes(state.status)) throw new Error(`the state has the unknown status ${String(state.status)}`);
  for (const field of ["messages", "steps", "pending"] as const) {
    if (!Array.isArray(state[field])) throw new Error(`the state's ${field} must be a list`);
  }
  for (const field of ["step", "tool_calls"] as const) {
    if (!Number.isInteger(state[field]) || state[field] < 0) {
      throw new Error(`the state's ${field} must be a number of at least 0`);
    }
  }
  if (state.step !== state.steps.length) throw new Error("the state's step must be the number of its steps");
  if (!isObject(state.usage)) throw new Error("the state has no usage");
  if (!isCredits(state.credits_used)) throw new Error("the state's credits_used must be a decimal text");
  return state;
}

/** A state as JSON. */
export function encodeRunState(state: RunState): string {
  return JSON.stringify(state);
}

/** Counts what a child run has cost. */
export function addChild(state: RunState, { usage, credits_used }: RunState): void {
  addUsage(state.usage, { ...usage, cost: usage.cost ?? undefined });
  state.credits_used = addCredits(state.credits_used, credits_used);
}

/** Counts the tokens and the cost of an answer, or of a whole run. */
export function addUsage(sum: UsageState, more: Usage | null | undefined): void {
  if (!more) return;
  for (const field of ["prompt_tokens", "completion_tokens", "total_tokens"] as const) {
    const count: unknown = more[field];
    if (typeof count === "number") sum[field] += count;
  }
  const cost = more.cost ?? more.total_cost;
  if (typeof cost === "number") sum.cost = (sum.cost ?? 0) + cost;
}

/**
 * The positions of the last answer's calls that have no result yet. Ids need not be unique: results are told apart by
 * their order.
 */
export function openCalls(state: RunState): number[] {
  const step = state.steps.at(-1);
  if (step === undefined) return [];
  const left = step.tool_results.map(({ tool_call_id }) => tool_call_id);
  return callsOf(step.assistant_message).flatMap((call, position) => {
    const at = left.indexOf(call.id);
    if (at < 0) return [position];
    left.splice(at, 1);
    return [];
  });
}

/** Whether the model's last message was its final answer, and nothing was said after it. */
export function isAnswered(state: RunState): boolean {
  const step = state.steps.at(-1);
  if (step === undefined || callsOf(step.assistant_message).length > 0) return false;
  return state.messages.at(-1)?.role === "assistant";
}

/** The text of the model's last message. */
export function lastText(state: RunState): string {
  return textOf(state.steps.at(-1)?.assistant_message.content);
}

/** The tool calls of a message. */
export function callsOf(message: ChatMessage): ToolCall[] {
  return Array.isArray(message.tool_calls) ? message.tool_calls : [];
}

/** The text of a content: itself, or that of its parts. */
export function textOf(content: ChatMessage["content"]): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((part) => (typeof part["text"] === "string" ? part["text"] : "")).join("");
}

/** Whether a value is a JSON object. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

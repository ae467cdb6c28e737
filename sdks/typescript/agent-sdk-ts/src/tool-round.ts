import { parseToolArguments, stringifyToolResult, type ToolCall } from "@joytoken/client-sdk-ts";
import { isDeep, misfitOf } from "./schema-check.js";
import { withScope, type Scope } from "./scope.js";
import { addChild, callsOf, openCalls, type PendingCall, type RunState, type ToolResultState } from "./state.js";
import type { RunStore } from "./store.js";
import { ChildWaits } from "./subagent.js";
import { needsApproval, type ToolBox } from "./tool-box.js";
import type { AgentTool, Decision, ToolExecutionContext } from "./types.js";

/** How much of a tool's result is told to the model, in bytes. */
export const TOOL_RESULT_BYTES_MAX = 1 << 20;

/** What a round of tools needs of its run. */
export interface RoundOptions {
  state: RunState;
  tools: ToolBox;
  store: RunStore | undefined;
  decisions: Record<string, Decision>;
  /** How many tools run at once. */
  concurrency: number;
  signal: AbortSignal | undefined;
  /** Told of each result as it comes. What it throws ends the round. */
  onResult: (result: ToolResultState) => void;
}

/** One call of a turn, and what came of it. */
interface Work {
  call: ToolCall;
  tool: AgentTool | undefined;
  input: unknown;
  scope: Scope;
  result: ToolResultState | undefined;
  /** What must be decided on before it can be run, or end. */
  waiting: PendingCall[];
}

/**
 * Run the calls of the last answer that have no result yet and that nobody has to decide on. Their results are in the
 * state afterwards, in the order of the calls; what waits for a decision is given back.
 *
 * @throws What `onResult` threw, or the reason of the signal; results that came until then are in the state.
 */
export async function runTools(options: RoundOptions): Promise<PendingCall[]> {
  const work = openCalls(options.state).map((position) => workOf(options, position));
  try {
    await runAll(work, options);
  } finally {
    keepResults(options, work);
  }
  return work.flatMap(({ waiting }) => waiting);
}

function workOf(options: RoundOptions, position: number): Work {
  const { state, tools, store, decisions } = options;
  const call = callsOf(state.steps.at(-1)!.assistant_message)[position]!;
  const { name } = call.function;
  const input = parseToolArguments(call.function.arguments);
  const scope: Scope = {
    run: state.run,
    store,
    callId: uniqueCallId(state, position),
    decisions: decisionsBelow(decisions, call.id),
    children: [],
  };
  const tool = tools.find(name);
  const work: Work = { call, tool, input, scope, result: undefined, waiting: [] };
  const misfit = isDeep(input) ? "they are nested too deeply" : misfitOf(tool?.parameters, input);
  if (tool === undefined) work.result = failure(call, `Tool not found: ${name}`);
  else if (misfit !== undefined) work.result = failure(call, `Tool error: invalid arguments: ${misfit}`);
  else if (needsApproval(tool, input)) {
    const decision = Object.hasOwn(decisions, call.id) ? decisions[call.id] : undefined;
    if (decision === undefined || decision === null) work.waiting = [{ tool_call_id: call.id, tool_name: name, input }];
    else if (!isApproved(decision)) work.result = failure(call, `Tool call rejected: ${reasonOf(decision)}`);
  }
  return work;
}

/** The call's id, with a number where an earlier call of the run had the same one. */
function uniqueCallId(state: RunState, position: number): string {
  const last = state.steps.length - 1;
  const all = state.steps.flatMap(({ assistant_message }, index) =>
    callsOf(assistant_message).slice(0, index === last ? position + 1 : undefined),
  );
  const id = all.at(-1)!.id;
  const same = all.filter((call) => call.id === id).length;
  return same === 1 ? id : `${id}-${same}`;
}

/** Decisions on calls of the child run that a tool call began. */
function decisionsBelow(decisions: Record<string, Decision>, callId: string): Record<string, Decision> {
  const prefix = `${callId}/`;
  const below = Object.entries(decisions).filter(([id]) => id.startsWith(prefix));
  return Object.fromEntries(below.map(([id, decision]) => [id.slice(prefix.length), decision]));
}

/** Only a plain yes is one: a decision may come from a form, where a no is a text. */
function isApproved(decision: Decision): boolean {
  return decision === true || (typeof decision === "object" && decision.approved === true);
}

function reasonOf(decision: Decision): string {
  return (typeof decision === "object" && decision.reason?.trim()) || "not approved";
}

async function runAll(work: Work[], options: RoundOptions): Promise<void> {
  const queue = work.values();
  const messages = [...options.state.messages];
  let failed: { error: unknown } | undefined;
  const worker = async (): Promise<void> => {
    for (const one of queue) {
      if (failed !== undefined || options.signal?.aborted) return;
      try {
        await execute(one, messages, options);
        if (one.result !== undefined && !options.signal?.aborted) options.onResult(one.result);
      } catch (error) {
        failed ??= { error };
      }
    }
  };
  const workers = Math.min(work.length, Math.max(1, options.concurrency) || 1); // one at a time where that is no number
  await Promise.all(Array.from({ length: workers }, worker));
  if (failed !== undefined) throw failed.error;
  options.signal?.throwIfAborted();
}

/** Run one call, if it has no result yet and nothing to wait for. What is run while the run ends has no result. */
async function execute(one: Work, messages: ToolExecutionContext["messages"], options: RoundOptions): Promise<void> {
  if (one.result !== undefined || one.waiting.length > 0 || one.tool === undefined) return;
  const { state, signal } = options;
  const context: ToolExecutionContext = { step: state.step, toolCall: one.call, messages, runId: state.run.id, signal };
  try {
    if (one.tool.execute === undefined) throw new Error(`tool "${one.tool.name}" has no execute function`);
    const made = await untilAborted(one.tool.execute(one.input, withScope(context, one.scope)), signal);
    one.result = resultOf(one.call, bounded(stringifyToolResult(made)), false);
  } catch (error) {
    if (signal?.aborted) return;
    if (error instanceof ChildWaits) {
      one.waiting = error.pending.map((call) => ({ ...call, tool_call_id: `${one.call.id}/${call.tool_call_id}` }));
    } else {
      one.result = failure(one.call, bounded(`Tool error: ${error instanceof Error ? error.message : String(error)}`));
    }
  }
}

/** A tool that does not hear the signal is left alone when it comes. */
async function untilAborted<T>(made: T | Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return made;
  let stop = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener("abort", stop, { once: true });
  });
  try {
    return await Promise.race([made, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Put the results into the state: those of the step in the order of its calls, and their messages behind it. */
function keepResults({ state }: RoundOptions, work: Work[]): void {
  const step = state.steps.at(-1)!;
  const left = [...step.tool_results];
  for (const { result, scope } of work) {
    if (result === undefined) continue;
    left.push(result);
    state.tool_calls += 1;
    for (const child of scope.children) addChild(state, child);
  }
  step.tool_results = callsOf(step.assistant_message).flatMap((call) => {
    const at = left.findIndex(({ tool_call_id }) => tool_call_id === call.id);
    return at < 0 ? [] : left.splice(at, 1);
  });
  while (state.messages.at(-1)?.role === "tool") state.messages.pop();
  for (const { tool_call_id, content } of step.tool_results) {
    state.messages.push({ role: "tool", tool_call_id, content });
  }
}

function failure(call: ToolCall, content: string): ToolResultState {
  return resultOf(call, content, true);
}

function resultOf(call: ToolCall, content: string, is_error: boolean): ToolResultState {
  return { tool_call_id: call.id, tool_name: call.function.name, content, is_error };
}

/** Cut what is too long to be told, between two characters. */
function bounded(content: string): string {
  if (content.length * 3 <= TOOL_RESULT_BYTES_MAX) return content;
  const bytes = new TextEncoder().encode(content);
  if (bytes.length <= TOOL_RESULT_BYTES_MAX) return content;
  let end = TOOL_RESULT_BYTES_MAX;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  const told = new TextDecoder().decode(bytes.subarray(0, end));
  return `${told}\n[cut: the result has ${bytes.length} bytes, and ${end} are told]`;
}

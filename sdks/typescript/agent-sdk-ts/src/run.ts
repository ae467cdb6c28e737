import type { JoyTokenAPIError } from "@joytoken/client-sdk-ts";
import { messageOf } from "./answer.js";
import { decide } from "./conditions.js";
import { addCredits } from "./credits.js";
import { callKey } from "./identity.js";
import { AgentOutputError, readOutput, repairText, responseFormatOf } from "./output.js";
import { reasonOfRefusal, refusalOf } from "./refusal.js";
import { agentStateOf, resultOf, stepOf, toolResultOf } from "./result.js";
import {
  addUsage,
  callsOf,
  isAnswered,
  lastText,
  openCalls,
  type RunState,
  type RunStatus,
  type StepState,
} from "./state.js";
import type { RunStore } from "./store.js";
import type { ToolBox } from "./tool-box.js";
import { runTools } from "./tool-round.js";
import type {
  AgentEvent,
  AgentOptions,
  AgentResult,
  Decision,
  ModelRequest,
  ModelResponse,
  StopCondition,
} from "./types.js";

const TOOL_CONCURRENCY = 4;

/** What a run is made with. */
export interface RunParts {
  options: AgentOptions;
  state: RunState;
  tools: ToolBox;
  store: RunStore | undefined;
  metadata: Record<string, unknown> | undefined;
  stopWhen: StopCondition[];
  decisions: Record<string, Decision>;
  signal: AbortSignal | undefined;
  /** Hears what happens, and has answers streamed. What it throws ends the run. */
  onEvent: ((event: AgentEvent) => void) | undefined;
}

/** A run on its way: it reads and changes the state, and nothing else remembers anything. */
export class Run {
  readonly #parts: RunParts;
  readonly #state: RunState;
  #decisions: Record<string, Decision>;
  #refusal: JoyTokenAPIError | undefined;
  #output: unknown;

  constructor(parts: RunParts) {
    this.#parts = parts;
    this.#state = parts.state;
    this.#decisions = parts.decisions;
  }

  /** Save a run for the first time. @throws Error where the store has one of this id. */
  async begin(): Promise<void> {
    const { store } = this.#parts;
    if (store === undefined) return;
    const { id } = this.#state.run;
    if ((await store.load(id)) !== undefined) {
      throw new Error(`run "${id}" is in the store already: resume it, or give the new one another id`);
    }
    await store.save(this.#state);
  }

  /**
   * Take one step after the other until there is a result. Each begins with what the state says, so that it does not
   * matter which process made it.
   */
  async loop(): Promise<AgentResult> {
    while (!(await this.#next()));
    const result = this.result();
    this.#parts.onEvent?.({ type: "done", result });
    return result;
  }

  /** A run that is done gives what it came to. @throws AgentOutputError where that is not of the agent's shape. */
  finished(): AgentResult {
    const { value, problem } = readOutput(this.#parts.options.output, this.#state.final_text);
    if (problem !== undefined) throw new AgentOutputError(this.#state.final_text, problem);
    this.#output = value;
    const result = this.result();
    this.#parts.onEvent?.({ type: "done", result });
    return result;
  }

  result(): AgentResult {
    return resultOf(this.#state, this.#refusal, this.#output);
  }

  /** Do what comes next; whether the run is over or waits. */
  async #next(): Promise<boolean> {
    this.#parts.signal?.throwIfAborted();
    if (openCalls(this.#state).length > 0) return this.#useTools();
    if (isAnswered(this.#state)) return this.#finish();
    const reason = decide(this.#parts.stopWhen, agentStateOf(this.#state));
    if (reason !== undefined) return this.#end("stopped", reason);
    return this.#ask();
  }

  /** Make a model call, and keep the answer. */
  async #ask(): Promise<boolean> {
    let answer: ModelResponse;
    try {
      answer = await this.#complete(this.#request());
    } catch (error) {
      const refusal = refusalOf(error);
      if (refusal === undefined) throw error;
      this.#refusal = refusal;
      return this.#end("stopped", reasonOfRefusal(refusal));
    }
    const step = this.#keep(answer);
    const calls = callsOf(step.assistant_message);
    if (calls.length === 0) {
      this.#parts.onEvent?.({ type: "step", step: stepOf(step) });
      return this.#finish();
    }
    await this.#save();
    for (const toolCall of calls) this.#parts.onEvent?.({ type: "tool_call", toolCall });
    return false;
  }

  #keep({ message: given, usage, metadata }: ModelResponse): StepState {
    const state = this.#state;
    const message = messageOf(given);
    state.step += 1;
    const step: StepState = { index: state.step, assistant_message: message, tool_results: [], usage: usage ?? null };
    if (metadata?.request_id !== undefined) step.request_id = metadata.request_id;
    if (metadata !== undefined) step.metadata = metadata;
    state.steps.push(step);
    state.messages.push(message);
    addUsage(state.usage, usage);
    state.credits_used = addCredits(state.credits_used, metadata?.billing?.credits_used);
    return step;
  }

  /**
   * The next model call. It follows from the state and the options alone, to the byte, so that the gateway knows a
   * repetition for what it is.
   */
  #request(): ModelRequest {
    const { options, tools, metadata, store, signal } = this.#parts;
    const { run, messages, step } = this.#state;
    const call = step + 1;
    return {
      messages: [...messages],
      tools: tools.declared,
      temperature: options.temperature,
      maxTokens: options.maxTokens,
      tier: options.tier,
      metadata,
      toolChoice: tools.declared.length > 0 ? choiceOf(options.toolChoice, call) : undefined,
      responseFormat: responseFormatOf(options.output),
      run: {
        id: run.id,
        ...(run.parent_id !== null && { parentId: run.parent_id }),
        ...(run.workflow !== null && { workflow: run.workflow }),
        ...(run.budget !== null && { budget: run.budget }),
        step: call,
      },
      idempotencyKey: callKey(run.id, call),
      durable: store !== undefined,
      signal,
    };
  }

  async #complete(request: ModelRequest): Promise<ModelResponse> {
    const { options, onEvent } = this.#parts;
    if (onEvent === undefined) return options.model.complete(request);
    let told = false;
    const onText = (delta: string): void => {
      told ||= delta !== "";
      if (delta !== "") onEvent({ type: "text", delta });
    };
    const answer = await options.model.complete({ ...request, onText });
    if (!told && typeof answer.message?.content === "string") onText(answer.message.content);
    return answer;
  }

  /** Run the tools of the last answer; whether the run waits for decisions. */
  async #useTools(): Promise<boolean> {
    const { options, tools, store, signal, onEvent } = this.#parts;
    const state = this.#state;
    const decisions = this.#decisions;
    this.#decisions = {}; // a later call may have the id of an earlier one: it is decided on anew
    let pending;
    try {
      pending = await runTools({
        state,
        tools,
        store,
        decisions,
        concurrency: options.parallelToolCalls === true ? (options.toolConcurrency ?? TOOL_CONCURRENCY) : 1,
        signal,
        onResult: (result) => onEvent?.({ type: "tool_result", result: toolResultOf(result) }),
      });
    } catch (error) {
      await this.#save(); // results that came until then
      throw error;
    }
    if (pending.length === 0) {
      await this.#save();
      onEvent?.({ type: "step", step: stepOf(state.steps.at(-1)!) });
      return false;
    }
    Object.assign(state, { status: "pending", pending, stopped_by: "approval", final_text: lastText(state) });
    await this.#save();
    onEvent?.({ type: "pending", pending });
    return true;
  }

  /** Take the last answer for the final one, or ask once more where it is not of the shape that was asked for. */
  async #finish(): Promise<boolean> {
    const text = lastText(this.#state);
    const { value, problem } = readOutput(this.#parts.options.output, text);
    if (problem === undefined) {
      this.#output = value;
      return this.#end("done", undefined);
    }
    const answers = this.#state.steps.filter(({ assistant_message }) => callsOf(assistant_message).length === 0);
    if (answers.length > 1) {
      await this.#end("stopped", "invalid_output");
      throw new AgentOutputError(text, problem);
    }
    this.#state.messages.push({ role: "user", content: repairText(problem) });
    await this.#save();
    return false;
  }

  async #end(status: RunStatus, reason: string | undefined): Promise<true> {
    const state = this.#state;
    Object.assign(state, { status, stopped_by: reason ?? null, pending: [], final_text: lastText(state) });
    await this.#save();
    return true;
  }

  async #save(): Promise<void> {
    await this.#parts.store?.save(this.#state);
  }
}

/** A choice that forces tools is for the first call: later it would force them again and again. */
function choiceOf(choice: AgentOptions["toolChoice"], call: number): AgentOptions["toolChoice"] {
  return call === 1 || choice === undefined || choice === "none" ? choice : "auto";
}

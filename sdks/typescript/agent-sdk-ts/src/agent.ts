import { stepCountIs } from "./conditions.js";
import { AgentStream } from "./stream.js";
import { childRunId, identityOf } from "./identity.js";
import { checkOutputFormat } from "./output.js";
import { Run } from "./run.js";
import { scopeOf, type Scope } from "./scope.js";
import { newRunState, parseRunState, type RunState } from "./state.js";
import type { RunStore } from "./store.js";
import { ChildWaits } from "./subagent.js";
import { ToolBox } from "./tool-box.js";
import type {
  AgentEvent,
  AgentOptions,
  AgentResult,
  AgentRunOptions,
  AgentTool,
  ChatMessage,
  ResumeOptions,
  ToolExecutionContext,
} from "./types.js";

const MAX_STEPS = 8;

type Listener = (event: AgentEvent) => void;

/** What a run is started with, beside what its caller gives: the run of the tool call that it belongs to. */
interface Within {
  scope?: Scope | undefined;
  onEvent?: Listener | undefined;
}

/** What `Agent.asTool` takes. */
export interface AsToolOptions {
  name: string;
  description?: string | undefined;
}

/** A model loop with tools. One agent can have many runs at once. */
export class Agent {
  readonly #options: AgentOptions;

  constructor(options: AgentOptions) {
    this.#options = options;
  }

  /**
   * Run until the model answers without calling a tool, a condition stops it, the gateway refuses it for money or
   * policy (see `result.refusal`), or a tool needs an approval (see `result.pending`).
   *
   * @throws What the provider or the store throws, the reason of the signal, or AgentOutputError.
   */
  run(input: string | AgentRunOptions): Promise<AgentResult> {
    return this.#begin(optionsOf(input), {});
  }

  /** The events of a run, which begins at once; `result` is what it comes to. Who leaves the loop ends the run. */
  stream(input: string | AgentRunOptions): AgentStream {
    const options = optionsOf(input);
    return new AgentStream(options.signal, (onEvent, signal) => this.#begin({ ...options, signal }, { onEvent }));
  }

  /**
   * Go on with a run, exactly where it was: a model call whose answer was paid for and not saved is made again under
   * the same key, and the gateway gives the answer again. Tools whose results were not saved are run again.
   *
   * @param run The id of a run in the agent's store, or a state.
   */
  resume(run: string | RunState, options: ResumeOptions = {}): Promise<AgentResult> {
    return this.#resume(run, options, {});
  }

  /** Like `resume`, for a run that was streamed: a call that is made again must be the same, and so is streamed. */
  resumeStream(run: string | RunState, options: ResumeOptions = {}): AgentStream {
    return new AgentStream(options.signal, (onEvent, signal) => this.#resume(run, { ...options, signal }, { onEvent }));
  }

  /**
   * A tool that hands a piece of work over to this agent and gives its final text. Its run is a child of the calling
   * run: it drains that one's budget, is kept in its store, and counts in its usage and credits. Where its tools need
   * an approval the calling run waits, too: the id of such a call is the calling run's, a slash, and the call's own.
   */
  asTool({ name, description }: AsToolOptions): AgentTool<{ input: string }, string> {
    return {
      name,
      description,
      parameters: {
        type: "object",
        properties: { input: { type: "string", description: "The task, in full.", minLength: 1 } },
        required: ["input"],
      },
      execute: ({ input }, context) => this.#asChild(name, input, context),
    };
  }

  async #begin(options: AgentRunOptions, within: Within): Promise<AgentResult> {
    const { system } = this.#options;
    const state = newRunState(await identityOf(options.run), [
      ...(system ? [{ role: "system" as const, content: system }] : []),
      ...(JSON.parse(JSON.stringify(options.messages ?? [])) as ChatMessage[]), // as they will be read again
      ...(options.input !== undefined ? [{ role: "user" as const, content: options.input }] : []),
    ]);
    const run = this.#runOf(state, options, within);
    await run.begin();
    return run.loop();
  }

  async #resume(given: string | RunState, options: ResumeOptions, within: Within): Promise<AgentResult> {
    const state = parseRunState(typeof given === "string" ? await this.#load(given) : given);
    const run = this.#runOf(state, options, within);
    if (state.status === "done") return run.finished();
    Object.assign(state, { status: "running", stopped_by: null, pending: [], final_text: "" });
    return run.loop();
  }

  async #load(runId: string): Promise<RunState> {
    const { store } = this.#options;
    if (store === undefined) throw new Error(`run "${runId}" cannot be resumed by its id: the agent has no store`);
    const state = await store.load(runId);
    if (state === undefined) throw new Error(`run "${runId}" is not in the store`);
    return state;
  }

  #runOf(state: RunState, given: AgentRunOptions & ResumeOptions, within: Within): Run {
    const options = this.#options;
    checkOutputFormat(options.output);
    within.scope?.children.push(state);
    const metadata = { ...options.metadata, ...given.metadata };
    return new Run({
      options,
      state,
      tools: new ToolBox(options.tools ?? []),
      store: this.#storeWithin(within.scope),
      metadata: Object.keys(metadata).length > 0 ? metadata : undefined,
      stopWhen: [...(options.stopWhen ?? []), stepCountIs(given.maxSteps ?? MAX_STEPS)],
      decisions: given.decisions ?? {},
      signal: given.signal,
      onEvent: within.onEvent,
    });
  }

  #storeWithin(scope: Scope | undefined): RunStore | undefined {
    return this.#options.store ?? scope?.store;
  }

  /** Begin the child run of a tool call, or go on with it where another process began it. */
  async #asChild(name: string, input: string, context: ToolExecutionContext): Promise<string> {
    const scope = scopeOf(context);
    if (scope === undefined) return (await this.run({ input, signal: context?.signal })).finalText;
    const id = await childRunId(scope.run.id, scope.callId);
    const store = this.#storeWithin(scope);
    const saved = await store?.load(id);
    const { signal } = context;
    const result =
      saved !== undefined
        ? await this.#resume(saved, { decisions: scope.decisions, signal }, { scope })
        : await this.#begin(
            { input, signal, run: { id, parentId: scope.run.id, workflow: scope.run.workflow ?? undefined } },
            { scope },
          );
    if (result.status === "pending") {
      if (store !== undefined) throw new ChildWaits(result.pending);
      const tool = result.pending[0]?.tool_name;
      throw new Error(`agent ${name}: it waits for an approval of "${tool}", which needs a store`);
    }
    if (result.finalText === "" && result.stoppedBy !== undefined) {
      throw new Error(`agent ${name}: stopped by ${result.stoppedBy}`);
    }
    return result.finalText;
  }
}

function optionsOf(input: string | AgentRunOptions): AgentRunOptions {
  return typeof input === "string" ? { input } : input;
}

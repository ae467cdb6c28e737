import type {
  CallMetadata,
  ChatMessage,
  ChatTool,
  JoyTokenAPIError,
  Tool,
  ToolCall,
  ToolExecutionContext as ClientToolContext,
  Usage,
} from "@joytoken/client-sdk-ts";
import type { PendingCall, RunState, RunStatus } from "./state.js";
import type { RunStore } from "./store.js";

export type { ChatMessage, ChatTool, ToolCall, Usage } from "@joytoken/client-sdk-ts";

/** How a JoyToken provider speaks: by chat completions or by messages. */
export type JoyTokenProtocol = "openai" | "anthropic";

/** What an agent's tool is run with. */
export interface ToolExecutionContext extends ClientToolContext {
  /** The run, so that a tool that is run again after a crash can tell what it did already. */
  runId?: string | undefined;
  /** Ended when the run is. */
  signal?: AbortSignal | undefined;
}

/**
 * A tool of an agent. `execute` may be run again after a crash: whoever must not do a thing twice keeps the run's and
 * the call's id with it.
 */
export interface AgentTool<Input = unknown, Output = unknown> extends Tool<Input, Output> {
  execute?(input: Input, context: ToolExecutionContext): Output | Promise<Output>;
  /** Whether a call waits for somebody's decision before it is run: always, or for some inputs. */
  requiresApproval?: boolean | ((input: unknown) => boolean) | undefined;
}

/** The run that model calls belong to, for the gateway. Texts are 1 to 128 visible ASCII characters without spaces. */
export interface AgentRunIdentity {
  /** A random one by default. */
  id?: string | undefined;
  /** The run that began this one. */
  parentId?: string | undefined;
  /** A name for what is done, such as `nightly`. */
  workflow?: string | undefined;
  /** Credits that the run may spend, a decimal text such as `"0.5"`. The key needs leave to set one. */
  budget?: string | undefined;
}

/** What a provider is asked. */
export interface ModelRequest {
  messages: ChatMessage[];
  tools?: ChatTool[] | undefined;
  temperature?: number | undefined;
  maxTokens?: number | undefined;
  tier?: string | undefined;
  metadata?: Record<string, unknown> | undefined;
  /** The agent's choice, for the first call of a run; a forced one is `auto` from then on. */
  toolChoice?: "none" | "auto" | "required" | Record<string, unknown> | undefined;
  /** Asks for a final answer of a JSON Schema. */
  responseFormat?: Record<string, unknown> | undefined;
  /** The run, and the number of this call in it. */
  run?: { id: string; parentId?: string; workflow?: string; budget?: string; step: number } | undefined;
  /** The same whenever this call of this run is made again. */
  idempotencyKey?: string | undefined;
  /** Whether the run is saved, so that another process may make this call again. */
  durable?: boolean | undefined;
  signal?: AbortSignal | undefined;
  /** Told of text as it comes. Where it is there, the answer is streamed. */
  onText?: ((delta: string) => void) | undefined;
}

/** A provider's answer. */
export interface ModelResponse {
  message: ChatMessage;
  usage?: Usage | undefined;
  /** The provider's own answer. */
  raw?: unknown;
  /** What the gateway said of the call. */
  metadata?: CallMetadata | undefined;
}

/** What answers an agent. */
export interface ModelProvider {
  complete(request: ModelRequest): Promise<ModelResponse>;
}

/** Tokens of a run, and its cost where answers told one; those of sub-agents included. */
export interface UsageSummary {
  promptTokens: number;
  completionTokens: number;
  totalTokens: number;
  cost?: number | undefined;
}

/** What a stop condition sees. */
export interface AgentState {
  /** Model calls that were answered. */
  step: number;
  /** Tool calls that have a result. */
  toolCalls: number;
  usage: UsageSummary;
  messages: ChatMessage[];
  /** The exact sum of what the gateway charged, a decimal text. */
  creditsUsed: string;
}

/** Whether a run ends, and why. */
export interface StopDecision {
  stop: boolean;
  reason?: string | undefined;
}

/** Decides before each model call whether a run ends; `true` has the reason `custom`. */
export type StopCondition = (state: AgentState) => StopDecision | boolean;

/** Asks for a final answer that is JSON of a schema. */
export interface OutputFormat {
  /** 1 to 64 letters, digits, `_` and `-`. */
  name: string;
  schema: Record<string, unknown>;
}

/** What an agent is made with. */
export interface AgentOptions {
  model: ModelProvider;
  /** The first message of each run. */
  system?: string | undefined;
  /** What the model can have called. Of two with one name the last is there. */
  tools?: AgentTool[] | undefined;
  /** Asked before each model call, in order, and before the bound of steps. */
  stopWhen?: StopCondition[] | undefined;
  temperature?: number | undefined;
  /** Bounds the output of one model call, in tokens. */
  maxTokens?: number | undefined;
  tier?: string | undefined;
  /** Sent with each model call; a run's own goes over it. */
  metadata?: Record<string, unknown> | undefined;
  /** Sent with the first model call of a run; a choice that forces a tool is `auto` from then on. */
  toolChoice?: ModelRequest["toolChoice"];
  /** Whether the tools of one turn run at once: false by default. Results keep the order of the calls. */
  parallelToolCalls?: boolean | undefined;
  /** How many run at once then: 4 by default. */
  toolConcurrency?: number | undefined;
  /** Asks for a final answer of a JSON Schema; `result.output` has it. */
  output?: OutputFormat | undefined;
  /** Keeps the state of each run, so that another process can resume it. */
  store?: RunStore | undefined;
}

/** What a run takes. */
export interface AgentRunOptions {
  /** The conversation so far, after the system message and before `input`. */
  messages?: ChatMessage[] | undefined;
  /** A user message. */
  input?: string | undefined;
  /** Model calls at most: 8 by default. */
  maxSteps?: number | undefined;
  metadata?: Record<string, unknown> | undefined;
  run?: AgentRunIdentity | undefined;
  /** Ends the run, and a model call that is under way with it. */
  signal?: AbortSignal | undefined;
}

/** What was decided of a call that waited. */
export type Decision = boolean | { approved: boolean; reason?: string | undefined };

/** What a resumed run takes. `metadata` has to be given again: a call that is made again must be the same. */
export interface ResumeOptions {
  /** By the id of the tool call. Calls without one go on waiting. */
  decisions?: Record<string, Decision> | undefined;
  /** Model calls of the whole run at most: 8 by default. */
  maxSteps?: number | undefined;
  metadata?: Record<string, unknown> | undefined;
  signal?: AbortSignal | undefined;
}

/** What was told to the model of one tool call. */
export interface ToolResult {
  toolCallId: string;
  toolName: string;
  content: string;
  isError?: boolean | undefined;
}

/** One model call and the tools that it had called. */
export interface AgentStep {
  /** From 1. */
  index: number;
  assistantMessage: ChatMessage;
  toolResults: ToolResult[];
  usage?: Usage | undefined;
  /** Names the receipt of the model call. */
  requestId?: string | undefined;
  metadata?: CallMetadata | undefined;
}

/** What a run came to. */
export interface AgentResult {
  /** The model's last text. */
  finalText: string;
  messages: ChatMessage[];
  steps: AgentStep[];
  usage: UsageSummary;
  /**
   * Absent where the model came to its end; else the reason of the stop condition, `approval`, `invalid_output`, or
   * type and code of the gateway's refusal, such as `insufficient_quota:wallet_empty`.
   */
  stoppedBy?: string | undefined;
  status: RunStatus;
  /** Names the run to the gateway and to the store. */
  runId: string;
  /** The exact sum of what the gateway charged, sub-agents included, a decimal text. */
  creditsUsed: string;
  /** The receipts of the model calls, in order. */
  requestIds: string[];
  /** The gateway's answer that ended the run, a 402 or 403. */
  refusal?: JoyTokenAPIError | undefined;
  /** The calls that wait for a decision. */
  pending: PendingCall[];
  /** The final answer, where `AgentOptions.output` asked for JSON. */
  output?: unknown;
  /** The whole run: see `Agent.resume`. */
  state: RunState;
}

/** Something that happens in a run. */
export type AgentEvent =
  | { type: "text"; delta: string }
  | { type: "tool_call"; toolCall: ToolCall }
  | { type: "tool_result"; result: ToolResult }
  | { type: "step"; step: AgentStep }
  | { type: "pending"; pending: PendingCall[] }
  | { type: "done"; result: AgentResult };

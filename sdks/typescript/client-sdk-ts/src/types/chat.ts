import type { CallMetadata } from "./metadata.js";
import type { JoyTokenModel } from "./model.js";
import type {
  OrchestrationInfo,
  OrchestrationPlanItem,
  OrchestrationResult,
  OrchestrationTaskMetadata,
} from "./orchestration.js";

/** Who says a message. */
export type ChatRole = "system" | "developer" | "user" | "assistant" | "tool";

/** A call of a tool that a model asks for. */
export interface ToolCall {
  id: string;
  type: "function";
  function: {
    name: string;
    /** JSON as the model wrote it; it may be broken. */
    arguments: string;
  };
  /** A provider's signature: it must come back unchanged. */
  thought_signature?: string | undefined;
  /** A provider's own data, such as `{ google: { thought_signature } }`: it must come back unchanged. */
  extra_content?: Record<string, unknown> | undefined;
  [field: string]: unknown;
}

/** A message of a conversation. Fields that are not named here are kept. */
export interface ChatMessage {
  role: ChatRole;
  content?: string | Record<string, unknown>[] | null | undefined;
  name?: string | undefined;
  tool_call_id?: string | undefined;
  tool_calls?: ToolCall[] | undefined;
  [field: string]: unknown;
}

/** A tool as chat completions declare it. */
export interface ChatTool {
  type: "function";
  function: {
    name: string;
    description?: string | undefined;
    /** A JSON Schema. */
    parameters?: Record<string, unknown> | undefined;
    [field: string]: unknown;
  };
}

/** Which tool a model may or must call. */
export type ChatToolChoice = "none" | "auto" | "required" | Record<string, unknown>;

/** What both chat requests have. */
export interface ChatCompletionFields {
  model: JoyTokenModel;
  messages: ChatMessage[];
  temperature?: number | undefined;
  max_tokens?: number | undefined;
  top_p?: number | undefined;
  stop?: string | string[] | undefined;
  /** Sent as they are, also `[]`. Left out: the client's tools, else the default ones. */
  tools?: ChatTool[] | undefined;
  tool_choice?: ChatToolChoice | undefined;
  /** `economy`, `standard` or `premium`, for `model: "auto"`. */
  tier?: string | undefined;
  /** Texts by name, which the gateway keeps on the usage record as tags. */
  metadata?: Record<string, unknown> | undefined;
  [field: string]: unknown;
}

/** What `chat.completions.create` takes. Fields that are not named here are sent. */
export interface ChatCompletionRequest extends ChatCompletionFields {
  stream?: false | undefined;
}

/** What `chat.completions.stream` takes; `stream` can be left out. */
export interface ChatCompletionStreamRequest extends ChatCompletionFields {
  stream?: true | undefined;
}

/** Tokens of an answer, and its cost in credits where it is told. */
export interface Usage {
  prompt_tokens?: number | undefined;
  completion_tokens?: number | undefined;
  total_tokens?: number | undefined;
  cost?: number | undefined;
  total_cost?: number | undefined;
  [field: string]: unknown;
}

/** One answer of a chat completion. */
export interface ChatCompletionChoice {
  index: number;
  message: ChatMessage;
  finish_reason?: string | null | undefined;
  logprobs?: unknown;
}

/** What `chat.completions.create` gives. */
export interface ChatCompletionResponse {
  id?: string | undefined;
  object?: string | undefined;
  created?: number | undefined;
  model?: string | undefined;
  choices: ChatCompletionChoice[];
  usage?: Usage | undefined;
  /** Plan and stages, of an orchestrated answer only. */
  orchestration?: OrchestrationResult | undefined;
  plan?: OrchestrationPlanItem[] | undefined;
  /** Tier, billing and latency: `callMetadata` gives it typed. Of an orchestrated answer, a row for each stage. */
  metadata?: CallMetadata | OrchestrationTaskMetadata[] | undefined;
  [field: string]: unknown;
}

/** A piece of a message. `tool_calls` are fragments, to be put together by their `index`. */
export interface ChatCompletionDelta {
  role?: ChatRole | undefined;
  content?: string | null | undefined;
  tool_calls?: ToolCallFragment[] | undefined;
  [field: string]: unknown;
}

/** A piece of a tool call. */
export interface ToolCallFragment {
  index?: number | undefined;
  id?: string | undefined;
  type?: "function" | undefined;
  function?: { name?: string | undefined; arguments?: string | undefined } | undefined;
  thought_signature?: string | undefined;
  extra_content?: Record<string, unknown> | undefined;
  [field: string]: unknown;
}

/** One answer's part of a chunk. */
export interface ChatCompletionChunkChoice {
  index: number;
  delta: ChatCompletionDelta;
  finish_reason?: string | null | undefined;
  logprobs?: unknown;
}

/** An event of a chat stream. The chunks of usage and of metadata have no choices. */
export interface ChatCompletionChunk {
  id?: string | undefined;
  object?: string | undefined;
  created?: number | undefined;
  model?: string | undefined;
  choices: ChatCompletionChunkChoice[];
  usage?: Usage | null | undefined;
  /** The stage that the chunk belongs to, of an orchestrated answer only. */
  orchestration?: OrchestrationInfo | undefined;
  /** Comes once, at the end: `callMetadata` gives it typed. */
  metadata?: CallMetadata | OrchestrationTaskMetadata[] | undefined;
  [field: string]: unknown;
}

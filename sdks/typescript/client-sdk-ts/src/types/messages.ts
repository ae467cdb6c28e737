import type { CallMetadata } from "./metadata.js";
import type { JoyTokenModel } from "./model.js";

/** A block of a message: text, `tool_use` or `tool_result`. */
export interface MessageContentBlock {
  type: string;
  text?: string | undefined;
  /** Of a `tool_use`. */
  id?: string | undefined;
  name?: string | undefined;
  input?: unknown;
  /** Of a `tool_result`. */
  tool_use_id?: string | undefined;
  content?: string | MessageContentBlock[] | undefined;
  is_error?: boolean | undefined;
  thought_signature?: string | undefined;
  extra_content?: Record<string, unknown> | undefined;
  [field: string]: unknown;
}

/** A message of the messages shape. */
export interface MessageParam {
  role: "user" | "assistant";
  content: string | MessageContentBlock[];
}

/** A tool as messages declare it. */
export interface MessageTool {
  name: string;
  description?: string | undefined;
  /** A JSON Schema. */
  input_schema: Record<string, unknown>;
  [field: string]: unknown;
}

/** Which tool a message may or must use. */
export type MessageToolChoice =
  | { type: "auto"; disable_parallel_tool_use?: boolean | undefined }
  | { type: "any"; disable_parallel_tool_use?: boolean | undefined }
  | { type: "tool"; name: string; disable_parallel_tool_use?: boolean | undefined }
  | { type: "none" };

/** What both message requests have. */
export interface MessageFields {
  model: JoyTokenModel;
  max_tokens: number;
  messages: MessageParam[];
  system?: string | MessageContentBlock[] | undefined;
  temperature?: number | undefined;
  top_p?: number | undefined;
  stop_sequences?: string[] | undefined;
  /** Sent as they are, also `[]`. Left out: the client's tools, else the default ones. */
  tools?: MessageTool[] | undefined;
  tool_choice?: MessageToolChoice | undefined;
  tier?: string | undefined;
  metadata?: Record<string, unknown> | undefined;
  [field: string]: unknown;
}

/** What `messages.create` takes. Fields that are not named here are sent. */
export interface MessageRequest extends MessageFields {
  stream?: false | undefined;
}

/** What `messages.stream` takes; `stream` can be left out. */
export interface MessageStreamRequest extends MessageFields {
  stream?: true | undefined;
}

/** Tokens of a message. */
export interface MessageUsage {
  input_tokens: number;
  output_tokens: number;
  cache_creation_input_tokens?: number | undefined;
  cache_read_input_tokens?: number | undefined;
}

/** What `messages.create` gives. */
export interface MessageResponse {
  id: string;
  type: "message";
  role: "assistant";
  content: MessageContentBlock[];
  model: string;
  /** `end_turn`, `tool_use`, `max_tokens`, `refusal`, or the provider's own word. */
  stop_reason?: string | null | undefined;
  stop_sequence?: string | null | undefined;
  usage: MessageUsage;
  metadata?: CallMetadata | undefined;
}

/** An event of a message stream. */
export interface MessageStreamEvent {
  type: string;
  index?: number | undefined;
  message?: MessageResponse | undefined;
  content_block?: MessageContentBlock | undefined;
  delta?:
    | {
        type?: string | undefined;
        text?: string | undefined;
        partial_json?: string | undefined;
        stop_reason?: string | null | undefined;
        stop_sequence?: string | null | undefined;
      }
    | undefined;
  usage?: MessageUsage | undefined;
  error?: unknown;
  metadata?: CallMetadata | undefined;
}

import type { CallMetadata } from "./metadata.js";
import type { JoyTokenModel } from "./model.js";

/** A part of an input's content, such as `{ type: "input_text", text }`. */
export interface ResponseInputContentPart {
  type: string;
  text?: string | undefined;
  [field: string]: unknown;
}

/** An item of a response's input: a message, a call, the output of a call, or an item that came as output. */
export interface ResponseInputItem {
  type?: string | undefined;
  role?: string | undefined;
  content?: string | ResponseInputContentPart[] | unknown[] | undefined;
  call_id?: string | undefined;
  id?: string | undefined;
  name?: string | undefined;
  arguments?: string | undefined;
  output?: unknown;
  status?: string | undefined;
  summary?: unknown[] | undefined;
  encrypted_content?: string | null | undefined;
  extra_content?: Record<string, unknown> | undefined;
  [field: string]: unknown;
}

/** A part of an output's content, such as `{ type: "output_text", text, annotations }`. */
export interface ResponseOutputContent {
  type: string;
  text?: string | undefined;
  annotations?: unknown[] | undefined;
  [field: string]: unknown;
}

/** An item of a response's output. Items of kinds that are not known here are kept as they came. */
export interface ResponseOutputItem {
  id?: string | undefined;
  type: string;
  role?: string | undefined;
  status?: string | undefined;
  content?: ResponseOutputContent[] | undefined;
  name?: string | undefined;
  arguments?: string | undefined;
  call_id?: string | undefined;
  summary?: unknown[] | undefined;
  encrypted_content?: string | null | undefined;
  action?: unknown;
  results?: unknown;
  extra_content?: Record<string, unknown> | undefined;
  thought_signature?: string | undefined;
  [field: string]: unknown;
}

/** A function as responses declare it. */
export interface ResponseFunctionTool {
  type: "function";
  name: string;
  description?: string | undefined;
  /** A JSON Schema. */
  parameters?: Record<string, unknown> | undefined;
  strict?: boolean | undefined;
  [field: string]: unknown;
}

/** The provider's search of the web. */
export interface ResponseHostedWebSearchTool {
  type: "web_search_preview" | "web_search";
  [field: string]: unknown;
}

/** The provider's search of files; it needs at least one vector store. */
export interface ResponseHostedFileSearchTool {
  type: "file_search";
  vector_store_ids: string[];
  [field: string]: unknown;
}

/** A tool that the provider runs. */
export type ResponseHostedTool = ResponseHostedWebSearchTool | ResponseHostedFileSearchTool;

/** A function, or a tool that the provider runs. */
export type ResponseTool = ResponseFunctionTool | ResponseHostedTool;

/** Which tool a response may or must use. */
export type ResponseToolChoice = "none" | "auto" | "required" | Record<string, unknown>;

/** What both response requests have. */
export interface ResponseFields {
  model: JoyTokenModel;
  input: string | ResponseInputItem[];
  instructions?: string | undefined;
  max_output_tokens?: number | undefined;
  temperature?: number | undefined;
  top_p?: number | undefined;
  /** Sent as they are, also `[]`. Left out: the client's tools, else the default ones. */
  tools?: ResponseTool[] | undefined;
  tool_choice?: ResponseToolChoice | undefined;
  parallel_tool_calls?: boolean | undefined;
  previous_response_id?: string | undefined;
  include?: string[] | undefined;
  store?: boolean | undefined;
  tier?: string | undefined;
  service_tier?: string | undefined;
  metadata?: Record<string, unknown> | undefined;
  [field: string]: unknown;
}

/** What `responses.create` takes. Fields that are not named here are sent. */
export interface ResponseRequest extends ResponseFields {
  stream?: false | undefined;
}

/** What `responses.stream` takes; `stream` can be left out. */
export interface ResponseStreamRequest extends ResponseFields {
  stream?: true | undefined;
}

/** Tokens of a response. */
export interface ResponseUsage {
  input_tokens?: number | undefined;
  output_tokens?: number | undefined;
  total_tokens?: number | undefined;
  [field: string]: unknown;
}

/** What `responses.create` gives. */
export interface Response {
  id: string;
  object: string;
  created_at?: number | undefined;
  status: string;
  model: string;
  output?: ResponseOutputItem[] | undefined;
  /** All text of the output; put together here where the gateway leaves it out. */
  output_text?: string | undefined;
  usage?: ResponseUsage | undefined;
  metadata?: CallMetadata | Record<string, unknown> | null | undefined;
  error?: unknown;
  incomplete_details?: unknown;
  [field: string]: unknown;
}

/** An event of a response stream. */
export interface ResponseStreamEvent {
  type: string;
  sequence_number?: number | undefined;
  response?: Response | undefined;
  output_index?: number | undefined;
  content_index?: number | undefined;
  item_id?: string | undefined;
  item?: ResponseOutputItem | undefined;
  part?: ResponseOutputContent | undefined;
  delta?: string | undefined;
  text?: string | undefined;
  arguments?: string | undefined;
  error?: unknown;
  [field: string]: unknown;
}

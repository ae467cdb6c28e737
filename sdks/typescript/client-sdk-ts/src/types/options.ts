import type { OrchestrationEvent } from "./orchestration.js";
import type { FilePermissionFunc, ShellPermissionFunc, Tool, ToolCallResult } from "./tool.js";

/** What a client is made with. Everything can be left out. */
export interface JoyTokenClientOptions {
  /** The key; `JOY_TOKEN_API_KEY` of the environment by default. It is asked for when a call needs it. */
  apiKey?: string | undefined;
  /** The gateway: by default `JOY_TOKEN_API_BASE_URL`, else `http://localhost:7410`. */
  apiBaseUrl?: string | undefined;
  /** The OpenAI paths, where they are not `<apiBaseUrl>/openai/v1`: by default `JOY_TOKEN_OPENAI_BASE_URL`. */
  openAIBaseUrl?: string | undefined;
  /** @deprecated Only told back: messages are translated and sent to `openAIBaseUrl`. */
  anthropicBaseUrl?: string | undefined;
  /** @deprecated Only told back. */
  anthropicVersion?: string | undefined;
  /** What sends requests: `globalThis.fetch` by default. */
  fetch?: typeof globalThis.fetch | undefined;
  /** Sent with each call. They cannot change the authentication. */
  defaultHeaders?: Record<string, string> | undefined;
  /**
   * Milliseconds for one attempt: 60,000 by default, 0 for no bound. Of a whole answer until its last byte; of a
   * stream until its head, and then from one piece to the next, without the time that its reader takes for itself.
   */
  timeoutMs?: number | undefined;
  /** How often a failed attempt is repeated: 0 by default. */
  maxRetries?: number | undefined;
  /** The client's own tools. Where there are any, the default ones are not declared. */
  tools?: Tool[] | undefined;
  /** Whether calls without tools declare and run the default local ones: true by default. */
  defaultLocalTools?: boolean | undefined;
  /** Whether responses also declare the provider's `web_search_preview`: false by default. */
  defaultBuiltinTools?: boolean | undefined;
  /** Rounds of tools in one run: 8 by default. */
  toolMaxSteps?: number | undefined;
  /** The folder of the default file tools: the working directory by default. */
  fileWorkspace?: string | undefined;
  /** Without it `file_write` is declared and refused. */
  filePermission?: FilePermissionFunc | undefined;
  /** The folder in which the default shell tool starts: the working directory by default. */
  shellWorkspace?: string | undefined;
  /** Without it `shell` is declared and refused. */
  shellPermission?: ShellPermissionFunc | undefined;
  /** Names of default tools that are not declared. */
  excludedDefaultTools?: string[] | undefined;
  /**
   * Whether paid calls carry an `Idempotency-Key`, so that a repetition never pays twice: true by default. A key that
   * is given for one call is sent either way.
   */
  idempotency?: boolean | undefined;
}

/** The run that a call belongs to. Ids and names are 1 to 128 visible ASCII characters. */
export interface RunOptions {
  id: string;
  /** The run that began this one. */
  parentId?: string | undefined;
  /** A name for what is done, such as `nightly`. */
  workflow?: string | undefined;
  /** Credits that the run may spend: with its first call, or the same again. A text is exact. */
  budget?: string | number | undefined;
  /** Which call of the run this is, such as 3. */
  step?: string | number | undefined;
}

/** What can be different for one call. */
export interface CallOptions {
  /** Ends the call; it then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Sent with this call, before the client's. */
  headers?: Record<string, string> | undefined;
  /**
   * 1 to 255 visible ASCII characters. A tool loop uses it as it is for its first request, and with `:2`, `:3` and so
   * on behind it for the following ones, so that a repeated loop finds each of its answers.
   */
  idempotencyKey?: string | undefined;
  /** Instead of the client's. */
  timeoutMs?: number | undefined;
  /** Instead of the client's. */
  maxRetries?: number | undefined;
  run?: RunOptions | undefined;
  /**
   * What becomes of a call whose caller hangs up: `stop` ends it at the provider and frees what was held, `finish`
   * reads it to its end and keeps the answer for its `Idempotency-Key`. Streams send `stop` by default, other calls
   * nothing, which the gateway takes for `finish`.
   */
  onDisconnect?: "stop" | "finish" | undefined;
  /** Told of the head of each answer, before its body is read: whose request it is, which model serves it. */
  onResponse?: ((head: ResponseHead) => void) | undefined;
}

/** The head of an answer. */
export interface ResponseHead {
  status: number;
  /** The gateway's id of the request. */
  requestId?: string | undefined;
  /** Such as `x-daoe-used-model`, or `idempotent-replayed` where the answer was kept from before. */
  headers: Headers;
}

/** What a streamed run tells while it goes on. What a callback throws ends the run. */
export interface ToolRunStreamOptions extends CallOptions {
  /** A piece of the answer's text. */
  onTextDelta?: ((delta: string) => void) | undefined;
  /** A tool that has been run. */
  onToolResult?: ((result: ToolCallResult) => void) | undefined;
  /** The plan and the stages of an orchestrated answer; chats and messages only. */
  onOrchestrationEvent?: ((event: OrchestrationEvent) => void) | undefined;
}

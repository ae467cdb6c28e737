import { KeyCalls, Receipts, Runs } from "./account.js";
import { baseUrlsFrom } from "./base-url.js";
import { Models, PricingCalls } from "./catalog.js";
import { ChatCalls } from "./chat-calls.js";
import { Chat } from "./chat.js";
import { given, readEnvironment } from "./environment.js";
import { Images } from "./images.js";
import { Messages } from "./messages.js";
import { Responses } from "./responses.js";
import { ToolSet } from "./tool-set.js";
import { Transport } from "./transport.js";
import type { JoyTokenClientOptions } from "./types/options.js";

const TIMEOUT_MS_DEFAULT = 60_000;
const ANTHROPIC_VERSION_DEFAULT = "2023-06-01";

/**
 * The client of a JoyToken gateway.
 *
 * Options come first, then the environment (`JOY_TOKEN_API_KEY`, `JOY_TOKEN_API_BASE_URL`,
 * `JOY_TOKEN_OPENAI_BASE_URL`). The key is in none of its properties: a client that is logged does not tell it.
 */
export class JoyTokenClient {
  readonly apiBaseUrl: string;
  readonly openAIBaseUrl: string;
  /** @deprecated Nothing is sent there. */
  readonly anthropicBaseUrl: string;
  /** @deprecated It is not sent. */
  readonly anthropicVersion: string;
  readonly timeoutMs: number;
  readonly maxRetries: number;
  readonly chat: Chat;
  readonly responses: Responses;
  readonly messages: Messages;
  readonly models: Models;
  readonly images: Images;
  readonly pricing: PricingCalls;
  /** What a request was and cost. */
  readonly receipts: Receipts;
  /** The calling key: policy, limits, wallets. */
  readonly key: KeyCalls;
  /** What an agent's run did and spent. */
  readonly runs: Runs;

  /** @throws Error where there is no `fetch`. */
  constructor(options: JoyTokenClientOptions = {}) {
    const urls = baseUrlsFrom(options);
    this.apiBaseUrl = urls.api;
    this.openAIBaseUrl = urls.openAI;
    this.anthropicBaseUrl = urls.anthropic;
    this.anthropicVersion = given(options.anthropicVersion) ?? ANTHROPIC_VERSION_DEFAULT;
    this.timeoutMs = options.timeoutMs ?? TIMEOUT_MS_DEFAULT;
    this.maxRetries = options.maxRetries ?? 0;
    const transport = new Transport({
      apiKey: given(options.apiKey ?? readEnvironment("JOY_TOKEN_API_KEY")),
      fetch: fetchOf(options),
      defaultHeaders: { ...options.defaultHeaders },
      timeoutMs: this.timeoutMs,
      maxRetries: this.maxRetries,
      idempotency: options.idempotency !== false,
    });
    const tools = new ToolSet(options);
    const chats = new ChatCalls(transport, urls.openAI, tools);
    this.chat = new Chat(chats);
    this.messages = new Messages(chats);
    this.responses = new Responses(transport, urls.openAI, tools);
    this.images = new Images(transport, urls.openAI);
    this.models = new Models(transport, urls.api);
    this.pricing = new PricingCalls(transport, urls.api);
    this.receipts = new Receipts(transport, urls.api);
    this.key = new KeyCalls(transport, urls.api);
    this.runs = new Runs(transport, urls.api);
  }
}

/** What sends requests. The global one is looked up at each call, so that it may be replaced later, as tests do. */
function fetchOf(options: JoyTokenClientOptions): typeof globalThis.fetch {
  if (options.fetch !== undefined) return options.fetch;
  if (typeof globalThis.fetch !== "function") {
    throw new Error("No fetch implementation available. Pass fetch, or use Node.js 18 or newer.");
  }
  return (input, init) => globalThis.fetch(input, init);
}

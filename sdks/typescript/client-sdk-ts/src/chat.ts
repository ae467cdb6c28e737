import type { ChatCalls } from "./chat-calls.js";
import { checkModel, checkNotStreamed } from "./request-check.js";
import type {
  ChatCompletionChunk,
  ChatCompletionRequest,
  ChatCompletionResponse,
  ChatCompletionStreamRequest,
} from "./types/chat.js";
import type { CallOptions, ToolRunStreamOptions } from "./types/options.js";

/** `client.chat`. */
export class Chat {
  readonly completions: ChatCompletions;

  constructor(calls: ChatCalls) {
    this.completions = new ChatCompletions(calls);
  }
}

/** `client.chat.completions`: POST `/chat/completions`. */
export class ChatCompletions {
  readonly #calls: ChatCalls;

  constructor(calls: ChatCalls) {
    this.#calls = calls;
  }

  /**
   * One answer. Without tools of the request or the client, the default ones are declared, run, and their results told
   * to the model until it is done; tools of your own are never run here.
   *
   * @throws JoyTokenAPIError where the call fails; Error where it cannot be sent.
   */
  async create(request: ChatCompletionRequest, options: CallOptions = {}): Promise<ChatCompletionResponse> {
    checkModel(request.model);
    checkNotStreamed(request, "chat.completions.create");
    return this.#calls.create("chat", request, options);
  }

  /** Ask, run the client's tools that are called for, and ask again until the model is done; the last answer. */
  async run(request: ChatCompletionRequest, options: CallOptions = {}): Promise<ChatCompletionResponse> {
    checkModel(request.model);
    checkNotStreamed(request, "chat.completions.run");
    return this.#calls.run("chat", request, options);
  }

  /** The same as `run`. */
  executeTools(request: ChatCompletionRequest, options: CallOptions = {}): Promise<ChatCompletionResponse> {
    return this.run(request, options);
  }

  /**
   * The chunks of one answer, which is asked for when the first one is. No tool is run. Who leaves the loop ends the
   * call at the provider.
   */
  async *stream(
    request: ChatCompletionStreamRequest,
    options: CallOptions = {},
  ): AsyncGenerator<ChatCompletionChunk, void, undefined> {
    checkModel(request.model);
    yield* this.#calls.stream("chat", request, options);
  }

  /** Like `run`, with answers that are streamed: `options` are told of texts, tools and stages as they come. */
  async runStream(
    request: ChatCompletionRequest | ChatCompletionStreamRequest,
    options: ToolRunStreamOptions = {},
  ): Promise<ChatCompletionResponse> {
    checkModel(request.model);
    return this.#calls.runStream("chat", request, options);
  }

  /** The same as `runStream`. */
  executeToolsStream(
    request: ChatCompletionRequest | ChatCompletionStreamRequest,
    options: ToolRunStreamOptions = {},
  ): Promise<ChatCompletionResponse> {
    return this.runStream(request, options);
  }
}

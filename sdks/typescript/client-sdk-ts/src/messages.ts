import type { ChatCalls } from "./chat-calls.js";
import { chatRequestOf } from "./message-request.js";
import { messageResponseOf } from "./message-response.js";
import { MessageEvents } from "./message-stream.js";
import { checkModel, checkNotStreamed } from "./request-check.js";
import type { MessageRequest, MessageResponse, MessageStreamEvent, MessageStreamRequest } from "./types/messages.js";
import type { CallOptions, ToolRunStreamOptions } from "./types/options.js";

/** `client.messages`: the messages shape, translated here and sent as chats. */
export class Messages {
  readonly #calls: ChatCalls;

  constructor(calls: ChatCalls) {
    this.#calls = calls;
  }

  /**
   * One answer. Without tools of the request or the client, the default ones are declared and run; tools of your own
   * are never run here.
   *
   * @throws JoyTokenAPIError where the call fails; Error where it cannot be sent.
   */
  async create(request: MessageRequest, options: CallOptions = {}): Promise<MessageResponse> {
    checkModel(request.model);
    checkNotStreamed(request, "messages.create");
    return messageResponseOf(await this.#calls.create("messages", chatRequestOf(request), options));
  }

  /** Ask, run the client's tools that are called for, and ask again until the model is done; the last answer. */
  async run(request: MessageRequest, options: CallOptions = {}): Promise<MessageResponse> {
    checkModel(request.model);
    checkNotStreamed(request, "messages.run");
    return messageResponseOf(await this.#calls.run("messages", chatRequestOf(request), options));
  }

  /** The same as `run`. */
  executeTools(request: MessageRequest, options: CallOptions = {}): Promise<MessageResponse> {
    return this.run(request, options);
  }

  /** The events of one answer, which is asked for when the first one is. Who leaves the loop ends the call. */
  async *stream(
    request: MessageStreamRequest,
    options: CallOptions = {},
  ): AsyncGenerator<MessageStreamEvent, void, undefined> {
    checkModel(request.model);
    const events = new MessageEvents();
    for await (const chunk of this.#calls.stream("messages", chatRequestOf(request), options)) yield* events.add(chunk);
    yield* events.end();
  }

  /** Like `run`, with answers that are streamed: `options` are told of texts, tools and stages as they come. */
  async runStream(
    request: MessageRequest | MessageStreamRequest,
    options: ToolRunStreamOptions = {},
  ): Promise<MessageResponse> {
    checkModel(request.model);
    return messageResponseOf(await this.#calls.runStream("messages", chatRequestOf(request), options));
  }

  /** The same as `runStream`. */
  executeToolsStream(
    request: MessageRequest | MessageStreamRequest,
    options: ToolRunStreamOptions = {},
  ): Promise<MessageResponse> {
    return this.runStream(request, options);
  }
}

import { isObject } from "./json.js";
import { messageMetadataOf, messageUsageOf, stopReasonOf, toolUseOf } from "./message-response.js";
import { ToolCallAssembly } from "./tool-call-assembly.js";
import type { ChatCompletionChunk, Usage } from "./types/chat.js";
import type { MessageContentBlock, MessageStreamEvent } from "./types/messages.js";

/** Makes the events of a message stream from the chunks of a chat. */
export class MessageEvents {
  readonly #calls = new ToolCallAssembly();
  #started = false;
  #callsBegan = false;
  /** Blocks that have begun. */
  #blocks = 0;
  #textOpen = false;
  /** Text that came after tool calls: it waits until they are told. */
  #deferred = "";
  #finishReason: string | null = null;
  #usage: Usage | undefined;
  #metadata: Record<string, unknown> | undefined;

  /** The events that a chunk makes. */
  *add(chunk: ChatCompletionChunk): Generator<MessageStreamEvent> {
    if (isObject(chunk.metadata)) this.#metadata = { ...this.#metadata, ...chunk.metadata };
    if (chunk.usage) this.#usage = chunk.usage;
    if (!this.#started && (chunk.id || chunk.model || chunk.usage || chunk.choices.length > 0))
      yield this.#start(chunk);
    for (const { index, delta, finish_reason } of chunk.choices) {
      if (index !== 0) continue;
      if (typeof delta.content === "string" && delta.content !== "") yield* this.#text(delta.content);
      if (Array.isArray(delta.tool_calls) && delta.tool_calls.length > 0) {
        this.#callsBegan = true;
        this.#calls.add(delta.tool_calls);
      }
      if (finish_reason) this.#finishReason = finish_reason;
    }
  }

  /** The events that end the message. */
  *end(): Generator<MessageStreamEvent> {
    if (!this.#started) yield this.#start({ choices: [] });
    yield* this.#closeText();
    const calls = this.#calls.calls();
    for (const call of calls) yield* this.#toolUse(toolUseOf(call), call.function.arguments);
    if (this.#deferred !== "") {
      yield* this.#writeText(this.#deferred);
      yield* this.#closeText();
    }
    const metadata = messageMetadataOf(this.#metadata, this.#usage);
    yield {
      type: "message_delta",
      delta: { stop_reason: stopReasonOf(this.#finishReason, calls.length > 0), stop_sequence: null },
      usage: messageUsageOf(this.#usage),
      ...(metadata !== undefined && { metadata }),
    };
    yield { type: "message_stop" };
  }

  #start({ id, model, usage }: ChatCompletionChunk): MessageStreamEvent {
    this.#started = true;
    return {
      type: "message_start",
      message: {
        id: id ?? "",
        type: "message",
        role: "assistant",
        content: [],
        model: model ?? "",
        stop_reason: null,
        stop_sequence: null,
        usage: messageUsageOf(usage),
      },
    };
  }

  *#text(text: string): Generator<MessageStreamEvent> {
    if (this.#callsBegan) this.#deferred += text;
    else yield* this.#writeText(text);
  }

  *#writeText(text: string): Generator<MessageStreamEvent> {
    if (!this.#textOpen) {
      this.#textOpen = true;
      yield { type: "content_block_start", index: this.#blocks, content_block: { type: "text", text: "" } };
    }
    yield { type: "content_block_delta", index: this.#blocks, delta: { type: "text_delta", text } };
  }

  *#closeText(): Generator<MessageStreamEvent> {
    if (!this.#textOpen) return;
    this.#textOpen = false;
    yield { type: "content_block_stop", index: this.#blocks++ };
  }

  *#toolUse(block: MessageContentBlock, partial_json: string): Generator<MessageStreamEvent> {
    const index = this.#blocks++;
    yield { type: "content_block_start", index, content_block: { ...block, input: {} } };
    yield { type: "content_block_delta", index, delta: { type: "input_json_delta", partial_json } };
    yield { type: "content_block_stop", index };
  }
}

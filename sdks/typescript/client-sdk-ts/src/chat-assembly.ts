import { isObject } from "./json.js";
import { OrchestrationAssembly } from "./orchestration-stream.js";
import { ToolCallAssembly } from "./tool-call-assembly.js";
import type { ChatCompletionChunk, ChatCompletionDelta, ChatCompletionResponse, ChatMessage } from "./types/chat.js";
import type { ToolRunStreamOptions } from "./types/options.js";

/** Puts a chat completion together from the chunks of its stream, and tells of it meanwhile. */
export class ChatAssembly {
  readonly #told: ToolRunStreamOptions;
  readonly #orchestration = new OrchestrationAssembly();
  readonly #calls = new ToolCallAssembly();
  readonly #text: string[] = [];
  readonly #message: ChatMessage = { role: "assistant", content: null };
  readonly #response: Omit<ChatCompletionResponse, "choices"> = {};
  #finishReason: string | null = null;

  constructor(told: ToolRunStreamOptions) {
    this.#told = told;
  }

  /** Take a chunk in. Of several choices only the first is followed. */
  add(chunk: ChatCompletionChunk): void {
    const { choices, orchestration, usage, metadata, object: _, ...fields } = chunk;
    for (const event of this.#orchestration.add(orchestration)) this.#told.onOrchestrationEvent?.(event);
    Object.assign(this.#response, fields);
    if (usage) this.#response.usage = usage;
    if (isObject(metadata) && isObject(this.#response.metadata)) Object.assign(this.#response.metadata, metadata);
    else if (metadata !== undefined) this.#response.metadata = copyOf(metadata);
    for (const { index, delta, finish_reason } of choices) {
      if (index !== 0) continue;
      this.#addDelta(delta);
      if (finish_reason) this.#finishReason = finish_reason;
    }
  }

  /** The completion as far as it came. Without a final stage its text is that of all stages. */
  response(): ChatCompletionResponse {
    const orchestration = this.#orchestration.result();
    const stages = orchestration?.stages.map(({ content }) => content) ?? [];
    const text = (this.#text.length > 0 ? this.#text : stages).join("");
    const calls = this.#calls.calls();
    const message = { ...this.#message, content: text === "" ? null : text };
    return {
      ...this.#response,
      object: "chat.completion",
      choices: [
        {
          index: 0,
          message: calls.length > 0 ? { ...message, tool_calls: calls } : message,
          finish_reason: this.#finishReason,
        },
      ],
      ...(orchestration !== undefined && { orchestration }),
    };
  }

  #addDelta(delta: ChatCompletionDelta): void {
    const { content, tool_calls, role, ...others } = delta;
    if (role) this.#message.role = role;
    if (typeof content === "string" && content !== "" && this.#orchestration.isAnswer(content)) {
      this.#text.push(content);
      this.#told.onTextDelta?.(content);
    }
    if (Array.isArray(tool_calls)) this.#calls.add(tool_calls);
    // A provider's own fields of a message, such as its reasoning, come in pieces, too.
    for (const [name, piece] of Object.entries(others)) {
      const before = this.#message[name];
      if (typeof before === "string" && typeof piece === "string") this.#message[name] = before + piece;
      else if (Array.isArray(before) && Array.isArray(piece)) this.#message[name] = [...before, ...piece];
      else if (piece !== null && piece !== undefined) this.#message[name] = piece;
    }
  }
}

function copyOf<T>(metadata: T): T {
  return isObject(metadata) ? { ...metadata } : metadata;
}

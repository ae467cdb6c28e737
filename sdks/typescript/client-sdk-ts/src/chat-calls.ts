import { chatChunkOf, chatResponseOf } from "./chat-answer.js";
import { collectChat } from "./chat-collect.js";
import { runChatLoop } from "./chat-loop.js";
import { isObject } from "./json.js";
import { parseOrchestrationResponse } from "./orchestration.js";
import type { ToolPlan, ToolSet } from "./tool-set.js";
import type { Transport } from "./transport.js";
import type { ChatCompletionChunk, ChatCompletionFields, ChatCompletionResponse, ChatTool } from "./types/chat.js";
import type { JoyTokenErrorContext } from "./types/error.js";
import type { CallOptions, ToolRunStreamOptions } from "./types/options.js";
import type { JoyTokenProtocol } from "./types/model.js";

type Protocol = Exclude<JoyTokenProtocol, "responses">;

/** Sends chats, and messages as chats: one turn or a loop of them, whole or streamed. */
export class ChatCalls {
  readonly #transport: Transport;
  readonly #url: string;
  readonly #tools: ToolSet;

  constructor(transport: Transport, openAIBaseUrl: string, tools: ToolSet) {
    this.#transport = transport;
    this.#url = `${openAIBaseUrl}/chat/completions`;
    this.#tools = tools;
  }

  /** One answer; the default tools alone are run. */
  async create(
    protocol: Protocol,
    request: ChatCompletionFields,
    options: CallOptions,
  ): Promise<ChatCompletionResponse> {
    const plan = this.#tools.forChat(request.tools);
    const response = plan.automatic
      ? await this.#loop(protocol, request, plan, options)
      : await this.#whole(request, plan, options, initial(protocol));
    return withOrchestration(response);
  }

  /** A loop; all tools are run that the client has. */
  async run(protocol: Protocol, request: ChatCompletionFields, options: CallOptions): Promise<ChatCompletionResponse> {
    return withOrchestration(await this.#loop(protocol, request, this.#tools.forChat(request.tools), options));
  }

  /** The chunks of one answer; no tool is run. */
  stream(
    protocol: Protocol,
    request: ChatCompletionFields,
    options: CallOptions,
  ): AsyncGenerator<ChatCompletionChunk, void, undefined> {
    return this.#chunks(request, this.#tools.forChat(request.tools), options, initial(protocol));
  }

  /** A loop whose turns are streamed. */
  runStream(
    protocol: Protocol,
    request: ChatCompletionFields,
    options: ToolRunStreamOptions,
  ): Promise<ChatCompletionResponse> {
    const plan = this.#tools.forChat(request.tools);
    return runChatLoop({
      protocol,
      messages: request.messages,
      handlers: plan.handlers,
      stepsMax: this.#tools.stepsMax,
      signal: options.signal,
      onToolResult: options.onToolResult,
      ask: (messages, context) => collectChat(this.#chunks({ ...request, messages }, plan, options, context), options),
    });
  }

  #loop(
    protocol: Protocol,
    request: ChatCompletionFields,
    plan: ToolPlan<ChatTool>,
    options: CallOptions,
  ): Promise<ChatCompletionResponse> {
    return runChatLoop({
      protocol,
      messages: request.messages,
      handlers: plan.handlers,
      stepsMax: this.#tools.stepsMax,
      signal: options.signal,
      ask: (messages, context) => this.#whole({ ...request, messages }, plan, options, context),
    });
  }

  async #whole(
    request: ChatCompletionFields,
    plan: ToolPlan<ChatTool>,
    options: CallOptions,
    context: JoyTokenErrorContext,
  ): Promise<ChatCompletionResponse> {
    const body = { ...request, tools: plan.declared, stream: false };
    const received = await this.#transport.json(this.#call(body, options, context));
    return chatResponseOf(received, context);
  }

  async *#chunks(
    request: ChatCompletionFields,
    plan: ToolPlan<ChatTool>,
    options: CallOptions,
    context: JoyTokenErrorContext,
  ): AsyncGenerator<ChatCompletionChunk, void, undefined> {
    const asked = isObject(request["stream_options"]) ? request["stream_options"] : {};
    const stream_options = { ...asked, include_usage: true };
    const body = { ...request, tools: plan.declared, stream: true, stream_options };
    for await (const received of this.#transport.events(this.#call(body, options, context))) {
      yield chatChunkOf(received, context);
    }
  }

  #call(body: unknown, options: CallOptions, context: JoyTokenErrorContext) {
    const { requestNumber } = context;
    return { method: "POST" as const, url: this.#url, body, paid: true, options, requestNumber, context };
  }
}

function initial(protocol: Protocol): JoyTokenErrorContext {
  return { protocol, phase: "initial_request", requestNumber: 1 };
}

/** Plan and stages of an orchestrated answer, where the gateway did not put them together itself. */
function withOrchestration(response: ChatCompletionResponse): ChatCompletionResponse {
  const orchestration = response.orchestration ?? parseOrchestrationResponse(response);
  return orchestration === undefined ? response : { ...response, orchestration };
}

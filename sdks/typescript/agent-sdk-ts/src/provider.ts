import {
  callMetadata,
  collectChat,
  JoyTokenClient,
  type ChatCompletionFields,
  type ChatCompletionResponse,
  type JoyTokenClientOptions,
} from "@joytoken/client-sdk-ts";
import { callOptionsOf } from "./call-options.js";
import { askMessages } from "./provider-messages.js";
import type { JoyTokenProtocol, ModelProvider, ModelRequest, ModelResponse } from "./types.js";

const UNDER_WAY_MS_MAX = 300_000;
const UNDER_WAY_PAUSE_MS = 500;

/** A client's options, and how the provider speaks. */
export interface JoyTokenProviderOptions extends JoyTokenClientOptions {
  /** `openai` by default. */
  protocol?: JoyTokenProtocol | undefined;
  /** A model of the gateway's catalog: `auto` by default. */
  model?: string | undefined;
  /** The same, by the name of earlier releases. */
  defaultModel?: string | undefined;
  /** A client that is there already; the client's options are not read then. */
  client?: JoyTokenClient | undefined;
}

/** A model behind a JoyToken gateway. */
export function createJoyTokenProvider(options: JoyTokenProviderOptions = {}): ModelProvider {
  const client = options.client ?? new JoyTokenClient(options);
  const model = options.model ?? options.defaultModel ?? "auto";
  const ask = options.protocol === "anthropic" ? askMessages : askChat;
  return { complete: (request) => onceEnded(request, () => ask(client, model, request)) };
}

/**
 * Ask, and ask again while the first request under the same key is under way: who resumes a run right after a crash
 * comes before the gateway has read that one's answer to its end.
 */
async function onceEnded(request: ModelRequest, ask: () => Promise<ModelResponse>): Promise<ModelResponse> {
  const until = Date.now() + UNDER_WAY_MS_MAX;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      const underWay = error instanceof Error && "errorCode" in error && error.errorCode === "idempotency_in_progress";
      if (!underWay || request.durable !== true || Date.now() > until) throw error;
    }
    request.signal?.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, UNDER_WAY_PAUSE_MS));
  }
}

async function askChat(client: JoyTokenClient, model: string, request: ModelRequest): Promise<ModelResponse> {
  const body: ChatCompletionFields = {
    model,
    messages: request.messages,
    temperature: request.temperature,
    max_tokens: request.maxTokens,
    tools: request.tools ?? [],
    tool_choice: request.toolChoice,
    tier: request.tier,
    metadata: request.metadata,
    ...(request.responseFormat !== undefined && { response_format: request.responseFormat }),
  };
  const call = callOptionsOf(request, client);
  const answer: ChatCompletionResponse =
    request.onText === undefined
      ? await client.chat.completions.create(body, call)
      : await collectChat(client.chat.completions.stream(body, call), { onTextDelta: request.onText });
  const message = answer.choices[0]?.message;
  if (message === undefined) throw new Error("JoyToken did not return a chat completion message.");
  return {
    message: { ...message, role: message.role ?? "assistant" },
    usage: answer.usage,
    raw: answer,
    metadata: callMetadata(answer),
  };
}

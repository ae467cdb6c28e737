import { isObject, numberOf } from "./json.js";
import type { ChatCompletionResponse, ChatMessage, ToolCall, Usage } from "./types/chat.js";
import type { MessageContentBlock, MessageResponse, MessageUsage } from "./types/messages.js";
import type { CallMetadata } from "./types/metadata.js";

/** The message of a chat completion. */
export function messageResponseOf(response: ChatCompletionResponse): MessageResponse {
  const choice = response.choices[0];
  const content = contentOf(choice?.message);
  const metadata = messageMetadataOf(response.metadata, response.usage);
  return {
    id: response.id ?? "",
    type: "message",
    role: "assistant",
    content,
    model: response.model ?? "",
    stop_reason: stopReasonOf(choice?.finish_reason, content.some(isToolUse)),
    stop_sequence: null,
    usage: messageUsageOf(response.usage),
    ...(metadata !== undefined && { metadata }),
  };
}

/** Why a message ended. */
export function stopReasonOf(finishReason: string | null | undefined, usesTool: boolean): string | null {
  if (usesTool) return "tool_use";
  switch (finishReason) {
    case "tool_calls":
    case "function_call":
      return "tool_use";
    case "stop":
      return "end_turn";
    case "length":
      return "max_tokens";
    case "content_filter":
      return "refusal";
    default:
      return finishReason ?? null;
  }
}

/** The tokens of a message; zeros where the gateway did not tell them, which the metadata then says. */
export function messageUsageOf(usage: Usage | null | undefined): MessageUsage {
  const details = usage?.["prompt_tokens_details"];
  const cached = isObject(details) ? numberOf(details["cached_tokens"]) : undefined;
  return {
    input_tokens: usage?.prompt_tokens || 0,
    output_tokens: usage?.completion_tokens || 0,
    ...(cached !== undefined && { cache_read_input_tokens: cached }),
  };
}

/** The metadata of a message; it says so where the tokens are not known. */
export function messageMetadataOf(metadata: unknown, usage: Usage | null | undefined): CallMetadata | undefined {
  const told = isObject(metadata) ? metadata : undefined;
  if (typeof usage?.prompt_tokens === "number" && typeof usage.completion_tokens === "number") return told;
  return { ...told, joytoken: { usage_status: "unavailable", usage_source: "gateway" } };
}

/** The block of a tool call. Arguments that are no JSON object become `{}`. */
export function toolUseOf(call: ToolCall): MessageContentBlock {
  return {
    type: "tool_use",
    id: call.id,
    name: call.function.name,
    input: inputOf(call.function.arguments),
    ...(call.thought_signature !== undefined && { thought_signature: call.thought_signature }),
    ...(call.extra_content !== undefined && { extra_content: call.extra_content }),
  };
}

function inputOf(text: string): Record<string, unknown> {
  try {
    const input: unknown = JSON.parse(text);
    return isObject(input) ? input : {};
  } catch {
    return {};
  }
}

function isToolUse({ type }: MessageContentBlock): boolean {
  return type === "tool_use";
}

function contentOf(message: ChatMessage | undefined): MessageContentBlock[] {
  const text = textOfContent(message?.content);
  const calls = message?.tool_calls ?? legacyCall(message?.["function_call"]);
  return [...(text === "" ? [] : [{ type: "text", text }]), ...calls.map(toolUseOf)];
}

function textOfContent(content: ChatMessage["content"]): string {
  if (typeof content === "string") return content;
  return (content ?? []).map((part) => (typeof part["text"] === "string" ? part["text"] : "")).join("");
}

/** The one call that answers had before there were several. */
function legacyCall(call: unknown): ToolCall[] {
  if (!isObject(call) || typeof call["name"] !== "string") return [];
  const text = typeof call["arguments"] === "string" ? call["arguments"] : "";
  return [{ id: `call_${call["name"]}`, type: "function", function: { name: call["name"], arguments: text } }];
}

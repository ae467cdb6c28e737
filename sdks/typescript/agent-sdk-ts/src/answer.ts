import type { ChatMessage, ToolCall } from "@joytoken/client-sdk-ts";
import { isObject } from "./state.js";

/**
 * An answer's message with whole tool calls: what one lacks is empty, arguments that are no text become one, and what
 * is no call at all is left out. Everything else stays as it came.
 *
 * @throws Error where there is no message.
 */
export function messageOf(message: unknown): ChatMessage {
  if (!isObject(message)) throw new Error("the model provider gave no message");
  const calls = message["tool_calls"];
  return (Array.isArray(calls) ? { ...message, tool_calls: calls.filter(isObject).map(callOf) } : message) as ChatMessage;
}

function callOf(call: Record<string, unknown>): ToolCall {
  const called = isObject(call["function"]) ? call["function"] : {};
  const given = called["arguments"] ?? "";
  return {
    type: "function",
    ...call,
    id: asText(call["id"]),
    function: {
      ...called,
      name: asText(called["name"]),
      arguments: typeof given === "string" ? given : JSON.stringify(given),
    },
  };
}

function asText(value: unknown): string {
  return typeof value === "string" ? value : "";
}

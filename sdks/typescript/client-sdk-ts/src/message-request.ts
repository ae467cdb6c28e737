import { isObject } from "./json.js";
import type { ChatCompletionFields, ChatMessage, ChatTool, ChatToolChoice, ToolCall } from "./types/chat.js";
import type {
  MessageContentBlock,
  MessageFields,
  MessageParam,
  MessageTool,
  MessageToolChoice,
} from "./types/messages.js";

/** The chat that a request of the messages shape is sent as. Fields that are not known here are sent as they are. */
export function chatRequestOf(request: MessageFields): ChatCompletionFields {
  const { system, messages, stop_sequences, tools, tool_choice, ...others } = request;
  const systemText = system === undefined ? "" : textIn(system);
  return {
    ...others,
    messages: [
      ...(systemText === "" ? [] : [{ role: "system" as const, content: systemText }]),
      ...messages.flatMap(chatMessagesOf),
    ],
    ...(stop_sequences !== undefined && { stop: stop_sequences }),
    ...(tools !== undefined && { tools: tools.map(chatToolOf) }),
    ...(tool_choice !== undefined && toolChoiceOf(tool_choice)),
  };
}

function chatMessagesOf({ role, content }: MessageParam): ChatMessage[] {
  if (typeof content === "string") return [{ role, content }];
  return role === "assistant" ? [assistantMessageOf(content)] : userMessagesOf(content);
}

function assistantMessageOf(blocks: MessageContentBlock[]): ChatMessage {
  const text = textIn(blocks);
  const calls = blocks.filter(({ type }) => type === "tool_use").map(toolCallOf);
  return {
    role: "assistant",
    content: text === "" ? null : text,
    ...(calls.length > 0 && { tool_calls: calls }),
  };
}

function toolCallOf({ id, name, input, thought_signature, extra_content }: MessageContentBlock): ToolCall {
  return {
    id: id ?? "",
    type: "function",
    function: { name: name ?? "", arguments: JSON.stringify(input ?? {}) },
    ...(thought_signature !== undefined && { thought_signature }),
    ...(extra_content !== undefined && { extra_content }),
  };
}

/** Text and results of tools in their order; other blocks, such as images, keep their place as parts of the content. */
function userMessagesOf(blocks: MessageContentBlock[]): ChatMessage[] {
  const messages: ChatMessage[] = [];
  let pending: MessageContentBlock[] = [];
  const flush = (): void => {
    if (pending.length > 0) messages.push({ role: "user", content: userContentOf(pending) });
    pending = [];
  };
  for (const block of blocks) {
    if (block.type !== "tool_result") {
      pending.push(block);
      continue;
    }
    flush();
    messages.push({ role: "tool", tool_call_id: block.tool_use_id ?? "", content: textIn(block.content ?? "") });
  }
  flush();
  return messages;
}

function userContentOf(blocks: MessageContentBlock[]): string | Record<string, unknown>[] {
  return blocks.every(({ type }) => type === "text") ? textIn(blocks) : blocks.map(partOf);
}

/** A part of a chat's content; an image in the shape that chats have. */
function partOf(block: MessageContentBlock): Record<string, unknown> {
  const source = block["source"];
  if (block.type !== "image" || !isObject(source)) return block;
  const url = source["type"] === "base64" ? `data:${source["media_type"]};base64,${source["data"]}` : source["url"];
  return { type: "image_url", image_url: { url } };
}

/** All text of a content. */
function textIn(content: string | MessageContentBlock[]): string {
  if (typeof content === "string") return content;
  return content.map((block) => (block.type === "text" ? (block.text ?? "") : "")).join("");
}

function chatToolOf({ name, description, input_schema }: MessageTool): ChatTool {
  return { type: "function", function: { name, description, parameters: input_schema } };
}

function toolChoiceOf(choice: MessageToolChoice): { tool_choice: ChatToolChoice; parallel_tool_calls?: boolean } {
  const parallel = "disable_parallel_tool_use" in choice ? choice.disable_parallel_tool_use : undefined;
  return {
    tool_choice: chatToolChoiceOf(choice),
    ...(parallel !== undefined && { parallel_tool_calls: !parallel }),
  };
}

function chatToolChoiceOf(choice: MessageToolChoice): ChatToolChoice {
  switch (choice.type) {
    case "any":
      return "required";
    case "tool":
      return { type: "function", function: { name: choice.name } };
    default:
      return choice.type;
  }
}

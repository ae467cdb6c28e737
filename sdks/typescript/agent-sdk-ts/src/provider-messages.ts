import {
  callMetadata,
  parseToolArguments,
  type ChatMessage,
  type JoyTokenClient,
  type MessageContentBlock,
  type MessageParam,
  type MessageRequest,
  type MessageResponse,
  type MessageStreamEvent,
  type MessageToolChoice,
  type ToolCall,
} from "@joytoken/client-sdk-ts";
import { callOptionsOf } from "./call-options.js";
import { callsOf, isObject, textOf } from "./state.js";
import type { ModelRequest, ModelResponse } from "./types.js";

/** A message needs a bound: this one where the agent has none. */
const MAX_TOKENS = 1024;

/** Ask in the messages shape. */
export async function askMessages(
  client: JoyTokenClient,
  model: string,
  request: ModelRequest,
): Promise<ModelResponse> {
  const body = messageRequestOf(model, request);
  const call = callOptionsOf(request, client);
  const answer =
    request.onText === undefined
      ? await client.messages.create(body, call)
      : await collectMessage(client.messages.stream({ ...body, stream: true }, call), request.onText);
  return modelResponseOf(answer);
}

function messageRequestOf(model: string, request: ModelRequest): MessageRequest {
  const system = request.messages.filter(({ role }) => role === "system" || role === "developer");
  const messages: MessageParam[] = [];
  for (const message of request.messages) if (!system.includes(message)) join(messages, messageParamOf(message));
  return {
    model,
    max_tokens: request.maxTokens ?? MAX_TOKENS,
    ...(system.length > 0 && { system: system.map(({ content }) => textOf(content)).join("\n\n") }),
    messages,
    temperature: request.temperature,
    tools: (request.tools ?? []).map(({ function: { name, description, parameters } }) => ({
      name,
      description,
      input_schema: parameters ?? { type: "object", properties: {} },
    })),
    ...(request.toolChoice !== undefined && { tool_choice: toolChoiceOf(request.toolChoice) }),
    tier: request.tier,
    metadata: request.metadata,
    ...(request.responseFormat !== undefined && { response_format: request.responseFormat }),
  };
}

function toolChoiceOf(choice: NonNullable<ModelRequest["toolChoice"]>): MessageToolChoice {
  if (choice === "auto" || choice === "none") return { type: choice };
  if (choice === "required") return { type: "any" };
  const named = isObject(choice["function"]) ? choice["function"]["name"] : choice["name"];
  return { type: "tool", name: String(named) };
}

/** A chat message in the messages shape: what tools returned is said by the user. */
function messageParamOf(message: ChatMessage): MessageParam {
  if (message.role === "tool") {
    const block = { type: "tool_result", tool_use_id: message.tool_call_id, content: textOf(message.content) };
    return { role: "user", content: [block] };
  }
  const role = message.role === "assistant" ? "assistant" : "user";
  const calls = callsOf(message);
  if (calls.length === 0) {
    const parts = Array.isArray(message.content) ? (message.content as unknown as MessageContentBlock[]) : undefined;
    return { role, content: parts ?? textOf(message.content) };
  }
  const text = textOf(message.content);
  return { role, content: [...(text === "" ? [] : [{ type: "text", text }]), ...calls.map(toolUseOf)] };
}

function toolUseOf({ id, function: called, thought_signature, extra_content }: ToolCall): MessageContentBlock {
  const { name } = called;
  const input = parseToolArguments(called.arguments);
  return {
    type: "tool_use",
    id,
    name,
    input: isObject(input) ? input : {},
    ...(thought_signature !== undefined && { thought_signature }),
    ...(extra_content !== undefined && { extra_content }),
  };
}

/** Append a message; blocks of one speaker in a row become one message. */
function join(messages: MessageParam[], next: MessageParam): void {
  const last = messages.at(-1);
  if (last !== undefined && last.role === next.role && Array.isArray(last.content) && Array.isArray(next.content)) {
    last.content = [...last.content, ...next.content];
  } else {
    messages.push(next);
  }
}

function modelResponseOf(answer: MessageResponse): ModelResponse {
  const text = answer.content.map((block) => (block.type === "text" ? (block.text ?? "") : "")).join("");
  const calls = answer.content.filter(({ type }) => type === "tool_use").map(toolCallOf);
  const { input_tokens: input, output_tokens: output } = answer.usage;
  return {
    message: {
      role: "assistant",
      content: text === "" ? null : text,
      ...(calls.length > 0 && { tool_calls: calls }),
    },
    usage: { prompt_tokens: input, completion_tokens: output, total_tokens: input + output },
    raw: answer,
    metadata: callMetadata(answer),
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

/** Put the events of a streamed message together. */
async function collectMessage(
  events: AsyncIterable<MessageStreamEvent>,
  onText: (delta: string) => void,
): Promise<MessageResponse> {
  const blocks: MessageContentBlock[] = [];
  const inputs = new Map<MessageContentBlock, string>();
  let answer: MessageResponse | undefined;
  for await (const { type, message, content_block, delta, usage, metadata } of events) {
    const last = blocks.at(-1);
    if (type === "message_start" && message !== undefined) answer = { ...message };
    else if (type === "content_block_start" && content_block !== undefined) blocks.push({ ...content_block });
    else if (type === "content_block_delta" && last !== undefined) {
      if (delta?.text !== undefined) {
        last.text = (last.text ?? "") + delta.text;
        onText(delta.text);
      }
      if (delta?.partial_json !== undefined) inputs.set(last, (inputs.get(last) ?? "") + delta.partial_json);
    } else if (type === "message_delta" && answer !== undefined && usage !== undefined) answer.usage = usage;
    if (answer !== undefined && metadata !== undefined) answer.metadata = { ...answer.metadata, ...metadata };
  }
  if (answer === undefined) throw new Error("JoyToken did not return a message.");
  for (const [block, json] of inputs) block.input = parseToolArguments(json);
  return { ...answer, content: blocks };
}

import { diagnosticOf, executeToolCall } from "./tool-execution.js";
import type { ChatMessage, ToolCall } from "./types/chat.js";
import type { JoyTokenErrorContext } from "./types/error.js";
import type { Response, ResponseFields, ResponseInputItem, ResponseOutputItem } from "./types/responses.js";
import type { Tool, ToolCallResult } from "./types/tool.js";

/** What a loop of responses is run with. */
export interface ResponseLoop {
  request: ResponseFields;
  handlers: Map<string, Tool>;
  stepsMax: number;
  signal: AbortSignal | undefined;
  /** One turn of the model. */
  ask(request: ResponseFields, context: JoyTokenErrorContext): Promise<Response>;
  onToolResult?: ((result: ToolCallResult) => void) | undefined;
}

/**
 * Ask, run the functions that are called for, tell their outputs and ask again, until there are no more calls. A caller
 * who goes on from a previous response sends the outputs alone; others send all that was said.
 */
export async function runResponseLoop(loop: ResponseLoop): Promise<Response> {
  let input = itemsOf(loop.request.input);
  let previous = loop.request.previous_response_id;
  let context: JoyTokenErrorContext = { protocol: "responses", phase: "initial_request", requestNumber: 1 };
  for (let step = 1; ; step++) {
    const continued = previous === undefined ? {} : { previous_response_id: previous };
    const response = await loop.ask({ ...loop.request, ...continued, input }, context);
    const output = response.output ?? [];
    const calls = output.filter(({ type }) => type === "function_call").map(toolCallOf);
    if (calls.length === 0 || step > loop.stepsMax) return response;
    const outputs = await runTools(loop, calls, [...input, ...output], step);
    input = previous === undefined ? [...input, ...output, ...outputs] : outputs;
    if (previous !== undefined) previous = response.id;
    const requestNumber = context.requestNumber + 1;
    const toolCalls = calls.map(diagnosticOf);
    context = { protocol: "responses", phase: "tool_continuation", requestNumber, toolStep: step, toolCalls };
  }
}

function itemsOf(input: string | ResponseInputItem[]): ResponseInputItem[] {
  return typeof input === "string" ? [{ type: "message", role: "user", content: input }] : [...input];
}

/** A call as tools know it. */
function toolCallOf(item: ResponseOutputItem): ToolCall {
  const { call_id, id, name, arguments: text, thought_signature, extra_content } = item;
  return {
    id: call_id ?? id ?? "",
    type: "function",
    function: { name: name ?? "", arguments: text ?? "" },
    ...(thought_signature !== undefined && { thought_signature }),
    ...(extra_content !== undefined && { extra_content }),
  };
}

async function runTools(
  loop: ResponseLoop,
  calls: ToolCall[],
  seen: ResponseInputItem[],
  step: number,
): Promise<ResponseInputItem[]> {
  const outputs: ResponseInputItem[] = [];
  const messages = seen as unknown as ChatMessage[];
  for (const toolCall of calls) {
    loop.signal?.throwIfAborted();
    const result = await executeToolCall(loop.handlers, { step, toolCall, messages: [...messages] });
    outputs.push({ type: "function_call_output", call_id: result.tool_call_id, output: result.content });
    loop.onToolResult?.(result);
  }
  return outputs;
}

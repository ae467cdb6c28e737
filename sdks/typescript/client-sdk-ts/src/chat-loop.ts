import { classifyFinishReason, FinishReasonKind, malformedToolCallNudge } from "./finish-reason.js";
import { diagnosticOf, executeToolCall } from "./tool-execution.js";
import type { ChatCompletionResponse, ChatMessage, ToolCall } from "./types/chat.js";
import type { JoyTokenErrorContext } from "./types/error.js";
import type { JoyTokenProtocol } from "./types/model.js";
import type { Tool, ToolCallResult } from "./types/tool.js";

/** What a tool loop is run with. */
export interface ChatLoop {
  protocol: Exclude<JoyTokenProtocol, "responses">;
  messages: ChatMessage[];
  handlers: Map<string, Tool>;
  stepsMax: number;
  signal: AbortSignal | undefined;
  /** One turn of the model. */
  ask(messages: ChatMessage[], context: JoyTokenErrorContext): Promise<ChatCompletionResponse>;
  onToolResult?: ((result: ToolCallResult) => void) | undefined;
}

/**
 * Ask, run the tools that are called for, tell their results and ask again, until the model is done. After the last
 * round its results are still told, and the answer to them is given back, whatever it is.
 */
export async function runChatLoop(loop: ChatLoop): Promise<ChatCompletionResponse> {
  const messages = [...loop.messages];
  let context: JoyTokenErrorContext = { protocol: loop.protocol, phase: "initial_request", requestNumber: 1 };
  for (let step = 1; ; step++) {
    const response = await loop.ask([...messages], context);
    const choice = response.choices[0];
    if (choice?.message === undefined || step > loop.stepsMax) return response;
    const calls = choice.message.tool_calls ?? [];
    const requestNumber = context.requestNumber + 1;
    if (calls.length > 0) {
      messages.push(choice.message);
      await runTools(loop, messages, calls, step);
      const toolCalls = calls.map(diagnosticOf);
      context = { protocol: loop.protocol, phase: "tool_continuation", requestNumber, toolStep: step, toolCalls };
    } else if (classifyFinishReason(choice.finish_reason) === FinishReasonKind.MalformedToolCall) {
      messages.push(choice.message, { role: "user", content: malformedToolCallNudge });
      context = { protocol: loop.protocol, phase: "repair_continuation", requestNumber };
    } else {
      return response;
    }
  }
}

/** Run the calls of one turn in their order, and tell each result to the model. */
async function runTools(loop: ChatLoop, messages: ChatMessage[], calls: ToolCall[], step: number): Promise<void> {
  const seen = [...messages];
  for (const toolCall of calls) {
    loop.signal?.throwIfAborted();
    const result = await executeToolCall(loop.handlers, { step, toolCall, messages: [...seen] });
    const { tool_call_id, tool_name: name, content } = result;
    messages.push({ role: "tool", tool_call_id, name, content });
    loop.onToolResult?.(result);
  }
}

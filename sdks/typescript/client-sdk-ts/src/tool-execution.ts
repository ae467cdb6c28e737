import { parseToolArguments, safeExecuteTool, stringifyToolResult } from "./tool.js";
import type { ToolCall } from "./types/chat.js";
import type { JoyTokenToolCallDiagnostic } from "./types/error.js";
import type { Tool, ToolCallResult, ToolExecutionContext } from "./types/tool.js";

/** Run one tool call. It never fails: what goes wrong is told to the model as the result. */
export async function executeToolCall(
  handlers: Map<string, Tool>,
  context: ToolExecutionContext,
): Promise<ToolCallResult> {
  const { toolCall } = context;
  const name = toolCall.function?.name ?? "";
  const tool = handlers.get(name);
  if (tool?.execute === undefined) {
    return resultOf(toolCall, name, problem("tool_handler_not_found", name, `Tool handler not found: ${name}`), true);
  }
  const execute = tool.execute.bind(tool);
  const input = parseToolArguments(toolCall.function?.arguments ?? "");
  const { output, error } = await safeExecuteTool(execute, input, context);
  if (error !== undefined) return resultOf(toolCall, name, problem("tool_execution_error", name, error.message), true);
  try {
    return resultOf(toolCall, name, stringifyToolResult(output), false);
  } catch (unprintable) {
    const message = unprintable instanceof Error ? unprintable.message : String(unprintable);
    return resultOf(toolCall, name, problem("tool_execution_error", name, message), true);
  }
}

function problem(type: string, tool: string, message: string): string {
  return JSON.stringify({ error: { type, tool, message } });
}

function resultOf(call: ToolCall, name: string, content: string, isError: boolean): ToolCallResult {
  return { tool_call_id: call.id, tool_name: name, content, is_error: isError };
}

/** What an error's context tells of a call: not its arguments. */
export function diagnosticOf(call: ToolCall): JoyTokenToolCallDiagnostic {
  return {
    id: call.id,
    name: call.function?.name ?? "",
    hasThoughtSignature: call.thought_signature !== undefined,
    hasExtraContent: call.extra_content !== undefined,
  };
}

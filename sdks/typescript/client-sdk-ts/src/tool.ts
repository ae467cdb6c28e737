import type { ChatTool } from "./types/chat.js";
import type { MessageTool } from "./types/messages.js";
import type { ResponseFunctionTool } from "./types/responses.js";
import type { Tool, ToolExecuteFunc, ToolExecutionContext } from "./types/tool.js";

/** Give a tool back with the types of its input and output. */
export function defineTool<Input = unknown, Output = unknown>(tool: Tool<Input, Output>): Tool<Input, Output> {
  return tool;
}

/** The arguments of a tool call as its input: `{}` where they are empty, `{ raw }` where they are not JSON. */
export function parseToolArguments(value: string): unknown {
  if (value === "") return {};
  try {
    return JSON.parse(value);
  } catch {
    return { raw: value };
  }
}

/** Run a tool. What it throws is given back as `error`, and what is not an `Error` is made one. */
export async function safeExecuteTool<Input = unknown, Output = unknown>(
  execute: ToolExecuteFunc<Input, Output>,
  input: Input,
  context: ToolExecutionContext,
): Promise<{ output?: Output; error?: Error }> {
  try {
    return { output: await execute(input, context) };
  } catch (thrown) {
    return { error: thrown instanceof Error ? thrown : new Error(String(thrown)) };
  }
}

/** A tool's result as the content of a message: a text as it is, anything else as JSON. */
export function stringifyToolResult(value: unknown): string {
  if (value === null || value === undefined) return "null";
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "null");
}

/** The schema of a tool's arguments; a tool without one takes none. */
function parametersOf(tool: Tool): Record<string, unknown> {
  return tool.parameters ?? { type: "object", properties: {} };
}

/** A tool as chat completions declare it. */
export function toChatTool(tool: Tool): ChatTool {
  return {
    type: "function",
    function: { name: tool.name, description: tool.description, parameters: parametersOf(tool) },
  };
}

/** A tool as responses declare it. */
export function toResponseTool(tool: Tool): ResponseFunctionTool {
  return { type: "function", name: tool.name, description: tool.description, parameters: parametersOf(tool) };
}

/** A tool as messages declare it. */
export function toMessageTool(tool: Tool): MessageTool {
  return { name: tool.name, description: tool.description, input_schema: parametersOf(tool) };
}

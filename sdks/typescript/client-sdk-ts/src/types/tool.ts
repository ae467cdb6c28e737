import type { ChatMessage, ToolCall } from "./chat.js";

/** What a tool is run with. */
export interface ToolExecutionContext {
  /** The round of tools of the conversation, from 1. */
  step: number;
  /** The call as the model made it. */
  toolCall: ToolCall;
  /** The conversation so far, with the message that has the call. */
  messages: ChatMessage[];
}

/** What a tool does. Whatever it throws is told to the model as the result. */
export type ToolExecuteFunc<Input = unknown, Output = unknown> = (
  input: Input,
  context: ToolExecutionContext,
) => Output | Promise<Output>;

/**
 * A tool. One without `execute` is declared to the model, and whoever calls answers.
 *
 * `execute` is a method, so that a `Tool<{ city: string }, string>` stands in a list of tools: a tool's input is what
 * a model wrote, and only as good as `parameters` and the model made it.
 */
export interface Tool<Input = unknown, Output = unknown> {
  name: string;
  description?: string | undefined;
  /** A JSON Schema of an object; without one the tool takes no arguments. */
  parameters?: Record<string, unknown> | undefined;
  execute?(input: Input, context: ToolExecutionContext): Output | Promise<Output>;
}

/** Where the file tools work. */
export interface FileSandbox {
  /** The folder that is not left; the working directory where it is empty. */
  root?: string | undefined;
  /** The largest file that is read or written, in bytes: 1 MiB by default. */
  maxBytes?: number | undefined;
}

/** What a `FilePermissionFunc` decides upon. */
export interface FilePermissionRequest {
  toolName: string;
  /** The arguments as the model gave them. */
  input: unknown;
  /** The absolute root of the sandbox. */
  root: string;
  step: number;
}

/** Says whether a file may be written. Throwing is a no. */
export type FilePermissionFunc = (request: FilePermissionRequest) => boolean | Promise<boolean>;

/** Where and how the shell tool works. */
export interface ShellSandbox {
  /** The folder in which commands start; the working directory where it is empty. It is not a prison. */
  workingDir?: string | undefined;
  /** Milliseconds until a command is killed: 30,000 by default. */
  timeoutMs?: number | undefined;
  /** Bytes of output until a command is killed: 64 KiB by default. */
  maxOutputBytes?: number | undefined;
}

/** What a `ShellPermissionFunc` decides upon. */
export interface ShellPermissionRequest {
  toolName: string;
  /** The arguments as the model gave them. */
  input: unknown;
  command: string;
  /** The absolute folder in which the command would start. */
  workingDir: string;
  step: number;
}

/** Says whether a command may run. Throwing is a no. */
export type ShellPermissionFunc = (request: ShellPermissionRequest) => boolean | Promise<boolean>;

/** What came of a tool call. */
export interface ToolCallResult {
  tool_call_id: string;
  tool_name: string;
  /** What the model is told: a text, or JSON. */
  content: string;
  is_error: boolean;
}

/** The client of a JoyToken gateway. */
export { JoyTokenAPIError, type JoyTokenAPIErrorOptions } from "./api-error.js";
export { collectChat } from "./chat-collect.js";
export { JoyTokenClient } from "./client.js";
export { classifyFinishReason, FinishReasonKind, malformedToolCallNudge } from "./finish-reason.js";
export { callMetadata } from "./metadata.js";
export { ORCHESTRATION_FINAL_TASK_ID } from "./orchestration-final.js";
export { parseOrchestrationResponse } from "./orchestration.js";
export {
  defineTool,
  parseToolArguments,
  safeExecuteTool,
  stringifyToolResult,
  toChatTool,
  toMessageTool,
  toResponseTool,
} from "./tool.js";
export { MaxArgBytes } from "./tools/arguments.js";
export { calculator } from "./tools/calculator.js";
export { dateTime } from "./tools/date-time.js";
export { evalExpression } from "./tools/eval-expression.js";
export { fileRead } from "./tools/file-read.js";
export { absRoot, DefaultFileMaxBytes, DefaultSearchLimit } from "./tools/file-root.js";
export { fileSearch } from "./tools/file-search.js";
export { fileWrite } from "./tools/file-write.js";
export { listDir } from "./tools/list-dir.js";
export { gateFileWrite, gateShell } from "./tools/permission.js";
export { absWorkingDir, DefaultShellOutputBytes, DefaultShellTimeoutMs, shell } from "./tools/shell.js";
export type * from "./types.js";
export { callUsage } from "./usage.js";

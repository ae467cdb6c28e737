/** Agents on a JoyToken gateway. */
export { Agent, type AsToolOptions } from "./agent.js";
export { maxCost, maxCredits, maxToolCalls, stepCountIs } from "./conditions.js";
export { AgentOutputError } from "./output.js";
export { createJoyTokenProvider, type JoyTokenProviderOptions } from "./provider.js";
export {
  array,
  boolean,
  integer,
  nullable,
  number,
  object,
  oneOf,
  optional,
  string,
  type Infer,
  type Keywords,
  type ObjectOf,
  type OptionalSchema,
  type Schema,
} from "./schema.js";
export {
  encodeRunState,
  parseRunState,
  type PendingCall,
  type RunIdentityState,
  type RunState,
  type RunStatus,
  type StepState,
  type ToolResultState,
  type UsageState,
} from "./state.js";
export { MemoryRunStore, type RunStore } from "./store.js";
export { FileRunStore } from "./store-file.js";
export { SqliteRunStore, type SqliteHandle } from "./store-sqlite.js";
export { AgentStream } from "./stream.js";
export { defineTool, outputOf, tool, type TypedToolOptions } from "./tool.js";
export type * from "./types.js";

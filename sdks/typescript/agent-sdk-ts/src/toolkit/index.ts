/** Tools for agents, and what is put around them. */
export {
  calculator,
  dateTime,
  DefaultFileMaxBytes,
  DefaultSearchLimit,
  DefaultShellOutputBytes,
  DefaultShellTimeoutMs,
  evalExpression,
  fileRead,
  fileSearch,
  fileWrite,
  gateFileWrite,
  gateShell,
  listDir,
  MaxArgBytes,
  shell,
  type FilePermissionFunc,
  type FilePermissionRequest,
  type FileSandbox,
  type ShellPermissionFunc,
  type ShellPermissionRequest,
  type ShellSandbox,
} from "@joytoken/client-sdk-ts";
export { optionalStringArg, stringArg } from "./arguments.js";
export { DefaultHTTPMaxBytes, DefaultHTTPTimeoutMs, httpFetch, type HTTPFetchConfig } from "./http-fetch.js";
export {
  audit,
  permissionMiddleware,
  PermissionMode,
  timeout,
  type Middleware,
  type Permission,
  type PermissionFunc,
  type PermissionRequest,
  type ToolExecuteFunc,
} from "./middleware.js";
export {
  DefaultSQLMaxRows,
  sqlQuery,
  type SQLConfig,
  type SQLDatabase,
  type SQLExecResult,
  type SQLQueryResult,
} from "./sql-query.js";
export { sqliteDatabase, type SQLiteDatabase, type SQLiteStatement } from "./sqlite-database.js";
export { isReadOnlyStatement } from "./sql-statement.js";
export { createAgent, createToolkit, defaultToolkit, Toolkit, withDefaults, type ToolkitOptions } from "./toolkit.js";

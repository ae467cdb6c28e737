/** Only compiled: what the toolkit's public types say, and what they refuse. */
import { Agent, type AgentOptions, type AgentTool, type ToolExecutionContext } from "@joytoken/agent-sdk-ts";
import * as kit from "@joytoken/agent-sdk-ts/toolkit";

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
declare function expectType<T>(): <U>(value: U) => Same<T, U> extends true ? void : never;
declare const options: AgentOptions;
declare const db: kit.SQLDatabase;

function tools(sandbox: kit.FileSandbox): void {
  const made = [kit.calculator(), kit.dateTime(), kit.fileRead(sandbox), kit.fileWrite(sandbox), kit.listDir(sandbox), kit.fileSearch(sandbox)];
  const http: kit.HTTPFetchConfig = { allowedHosts: ["a.example"], timeoutMs: 1, maxBytes: 1, fetchImpl: fetch, allowPrivate: [] };
  const sql: kit.SQLConfig = { db, readOnly: true, maxRows: 1 };
  const all: AgentTool[] = [...made, kit.httpFetch(http), kit.sqlQuery(sql)];
  new Agent({ ...options, tools: all });
  expectType<boolean>()(kit.isReadOnlyStatement("select 1"));
  expectType<string>()(kit.stringArg({}, "a"));
  expectType<string | undefined>()(kit.optionalStringArg({}, "a"));
  const bounds = [kit.MaxArgBytes, kit.DefaultFileMaxBytes, kit.DefaultSearchLimit, kit.DefaultHTTPMaxBytes, kit.DefaultHTTPTimeoutMs, kit.DefaultSQLMaxRows];
  expectType<number[]>()(bounds);
  expectType<number>()(kit.evalExpression("1"));
  // @ts-expect-error: without a list of hosts nothing may be fetched
  kit.httpFetch({});
  // @ts-expect-error: a statement needs a database
  kit.sqlQuery({ readOnly: true });
}

function gated(sandbox: kit.FileSandbox, commands: kit.ShellSandbox): void {
  const file: kit.FilePermissionFunc = ({ toolName, input, root, step }: kit.FilePermissionRequest) => Boolean([toolName, input, root, step]);
  const command: kit.ShellPermissionFunc = async ({ command: text, workingDir }: kit.ShellPermissionRequest) => text !== workingDir;
  const all: AgentTool[] = [kit.gateFileWrite(kit.fileWrite(sandbox), "/", file), kit.gateShell(kit.shell(commands), "/", command)];
  expectType<number[]>()([kit.DefaultShellTimeoutMs, kit.DefaultShellOutputBytes]);
  void all;
}

function databases(): void {
  const result: kit.SQLQueryResult = { columns: ["n"], rows: [[1]] };
  const written: kit.SQLExecResult = { rowsAffected: 1, lastInsertId: 2 };
  const least: kit.SQLDatabase = { query: (sql: string) => (sql === "" ? result : Promise.resolve(result)) };
  const whole: kit.SQLDatabase = { ...least, exec: async () => written, readOnly: async () => result };
  kit.sqlQuery({ db: whole });
  const statement: kit.SQLiteStatement = { all: () => [], run: () => ({ changes: 1, lastInsertRowid: 1n }) };
  const handle: kit.SQLiteDatabase = { exec: () => {}, prepare: () => statement };
  expectType<kit.SQLDatabase>()(kit.sqliteDatabase(handle));
}

function around(): void {
  const ask: kit.PermissionFunc = async ({ toolName, input, step }: kit.PermissionRequest) => Boolean([toolName, input, step]);
  const permission: kit.Permission = { mode: kit.PermissionMode.Ask, ask };
  const named: kit.Middleware = (name, next) => (input, context) => {
    expectType<string>()(name);
    expectType<ToolExecutionContext>()(context);
    return next(input, context);
  };
  const log = (name: string, _input: unknown, error?: Error): void => void [name, error];
  const middleware = [named, kit.audit(log), kit.timeout(1), kit.permissionMiddleware(permission)];
  const toolkitOptions: kit.ToolkitOptions = { permission, middleware };
  const execute: kit.ToolExecuteFunc = (_input, { step }) => step;
  const toolkit = new kit.Toolkit(toolkitOptions).register({ name: "t", execute }, kit.calculator());
  expectType<kit.Toolkit>()(toolkit);
  expectType<AgentTool[]>()(toolkit.tools());
  expectType<kit.Toolkit>()(kit.createToolkit(toolkitOptions));
  expectType<kit.Toolkit>()(kit.defaultToolkit());
  expectType<AgentOptions>()(kit.withDefaults(options, toolkitOptions));
  expectType<Agent>()(kit.createAgent(options));
}

void [tools, gated, databases, around];

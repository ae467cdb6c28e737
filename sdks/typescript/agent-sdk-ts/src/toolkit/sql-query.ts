import type { AgentTool } from "../types.js";
import { stringArg } from "./arguments.js";
import { boundOf } from "./bounds.js";
import { kindOfStatement } from "./sql-statement.js";

/** How many rows of a result are told. */
export const DefaultSQLMaxRows = 200;
/** How much of a result is told, in characters. */
const RESULT_CHARS_MAX = 1 << 20;

/** The rows of a statement that reads. */
export interface SQLQueryResult {
  columns: string[];
  rows: unknown[][];
}

/** What came of a statement that writes. */
export interface SQLExecResult {
  rowsAffected: number;
  lastInsertId?: number | string | bigint | undefined;
}

/** A database, as `sql_query` needs it: an adapter of a few lines around any driver. */
export interface SQLDatabase {
  /** No more than `rowsMax` rows are used; an adapter that reads no further bounds also what a result may take. */
  query(sql: string, rowsMax: number): SQLQueryResult | Promise<SQLQueryResult>;
  /** Without it nothing can be written. */
  exec?(sql: string): SQLExecResult | Promise<SQLExecResult>;
  /**
   * Runs `query` in a session that cannot write, such as a transaction begun with `READ ONLY`, and ends it. With it
   * `readOnly` holds also where words could deceive.
   */
  readOnly?(sql: string, rowsMax: number): SQLQueryResult | Promise<SQLQueryResult>;
}

/** What `sql_query` works on. */
export interface SQLConfig {
  db: SQLDatabase;
  /** Refuses statements that write: by their words, and by `db.readOnly` where it is there. False by default. */
  readOnly?: boolean | undefined;
  /** `DefaultSQLMaxRows` where it is 0 or less. */
  maxRows?: number | undefined;
}

/** A tool that runs one SQL statement. Give it a user of few rights: functions can do more than their words. */
export function sqlQuery(config: SQLConfig): AgentTool {
  return {
    name: "sql_query",
    description: config.readOnly === true ? "Run one SQL statement that only reads." : "Run one SQL statement.",
    parameters: {
      type: "object",
      properties: { sql: { type: "string", description: "The statement." } },
      required: ["sql"],
    },
    execute: async (input) => {
      try {
        return await run(config, stringArg(input, "sql"));
      } catch (error) {
        throw new Error(`sql_query: ${error instanceof Error ? error.message : String(error)}`);
      }
    },
  };
}

async function run(config: SQLConfig, sql: string): Promise<object> {
  const { db, readOnly = false } = config;
  const kind = kindOfStatement(sql);
  if (kind === "empty") throw new Error("empty statement");
  if (kind === "long") throw new Error("the statement is too long");
  if (kind === "reading") {
    const maxRows = boundOf(config.maxRows, DefaultSQLMaxRows);
    const rowsMax = maxRows + 1; // one more tells that there are more
    const reading = readOnly && db.readOnly !== undefined ? db.readOnly(sql, rowsMax) : db.query(sql, rowsMax);
    return told(await reading, maxRows);
  }
  if (readOnly) throw new Error("only read-only statements are allowed");
  if (db.exec === undefined) throw new Error("writes are not supported (no exec adapter configured)");
  const { rowsAffected, lastInsertId = null } = await db.exec(sql);
  return { rows_affected: rowsAffected, last_insert_id: plain(lastInsertId), read_only: false };
}

function told({ columns, rows }: SQLQueryResult, maxRows: number): object {
  const list: unknown[][] = [];
  let size = 0;
  for (const row of rows) {
    const values = row.map(plain);
    size += values.reduce<number>((sum, value) => sum + (typeof value === "string" ? value.length : 8), 0);
    if (list.length >= maxRows || size > RESULT_CHARS_MAX) break;
    list.push(values);
  }
  return { columns, rows: list, row_count: list.length, truncated: list.length < rows.length };
}

/** A value as JSON can have it. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Date) return value.toISOString();
  return value instanceof Uint8Array ? textOf(value) : value;
}

/** Bytes as the text that they are, or else in base64. */
function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  }
}

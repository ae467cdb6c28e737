import type { AgentTool } from "../types.js";
import { stringArg } from "./arguments.js";
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
  query(sql: string): SQLQueryResult | Promise<SQLQueryResult>;
  /** Without it nothing can be written. */
  exec?(sql: string): SQLExecResult | Promise<SQLExecResult>;
  /**
   * Runs `query` in a session that cannot write, such as a transaction begun with `READ ONLY`, and ends it. With it
   * `readOnly` holds also where words could deceive.
   */
  readOnly?(sql: string): SQLQueryResult | Promise<SQLQueryResult>;
}

/** What `sql_query` works on. */
export interface SQLConfig {
  db: SQLDatabase;
  /** Refuses statements that write: by their words, and by `db.readOnly` where it is there. False by default. */
  readOnly?: boolean | undefined;
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
  const { db, readOnly = false, maxRows = DefaultSQLMaxRows } = config;
  const kind = kindOfStatement(sql);
  if (kind === "empty") throw new Error("empty statement");
  if (kind === "long") throw new Error("the statement is too long");
  if (kind === "reading") {
    return told(await (readOnly && db.readOnly !== undefined ? db.readOnly(sql) : db.query(sql)), maxRows);
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
    if (list.length === maxRows || size > RESULT_CHARS_MAX) break;
    list.push(values);
  }
  return { columns, rows: list, row_count: list.length, truncated: list.length < rows.length };
}

/** A value as JSON can have it. */
function plain(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (value instanceof Date) return value.toISOString();
  if (value instanceof Uint8Array) return new TextDecoder().decode(value);
  return value;
}

/** An open SQLite database, as `node:sqlite` and `better-sqlite3` have it. */
export interface SQLiteDatabase {
  exec(sql: string): unknown;
  prepare(sql: string): { all(): unknown[]; run(): { changes: number | bigint; lastInsertRowid: number | bigint } };
}

/** An adapter for such a database. What is read only is read under `PRAGMA query_only`. */
export function sqliteDatabase(database: SQLiteDatabase): SQLDatabase {
  const query = (sql: string): SQLQueryResult => {
    const rows = database.prepare(sql).all() as Record<string, unknown>[];
    const columns = Object.keys(rows[0] ?? {});
    return { columns, rows: rows.map((row) => columns.map((name) => row[name])) };
  };
  return {
    query,
    exec: (sql) => {
      const { changes, lastInsertRowid } = database.prepare(sql).run();
      return { rowsAffected: Number(changes), lastInsertId: lastInsertRowid };
    },
    readOnly: (sql) => {
      database.exec("PRAGMA query_only = ON");
      try {
        return query(sql);
      } finally {
        database.exec("PRAGMA query_only = OFF");
      }
    },
  };
}

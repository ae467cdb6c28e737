import type { TestContext } from "node:test";
import initSqlJs, { type Value } from "sql.js";
import type { SqliteHandle } from "@joytoken/agent-sdk-ts";
import type { SQLiteDatabase, SQLiteStatement } from "@joytoken/agent-sdk-ts/toolkit";

/** A real SQLite in the shape of `node:sqlite` and `better-sqlite3`, which this version of Node.js does not have. */
export interface Sqlite extends SqliteHandle, SQLiteDatabase {
  prepare(sql: string): SQLiteStatement & { run(...values: string[]): Changes; get(...values: string[]): unknown };
}

interface Changes {
  changes: number;
  lastInsertRowid: number;
}

/** An empty database in memory, closed when the test ends. */
export async function openSqlite(t: TestContext): Promise<Sqlite> {
  const { Database } = await initSqlJs();
  const database = new Database();
  t.after(() => database.close());
  function* rows(sql: string, values: Value[] = []): Generator<Record<string, Value>> {
    const statement = database.prepare(sql);
    try {
      statement.bind(values);
      while (statement.step()) yield statement.getAsObject();
    } finally {
      statement.free();
    }
  }
  return {
    exec: (sql) => database.exec(sql),
    prepare: (sql) => ({
      all: () => [...rows(sql)],
      iterate: () => rows(sql),
      get: (...values: string[]) => [...rows(sql, values)][0],
      run: (...values: string[]) => {
        for (const _ of rows(sql, values));
        const lastInsertRowid = Number(database.exec("SELECT last_insert_rowid()")[0]?.values[0]?.[0]);
        return { changes: database.getRowsModified(), lastInsertRowid };
      },
      columns: () => {
        const statement = database.prepare(sql);
        const names = statement.getColumnNames();
        statement.free();
        return names.map((name) => ({ name }));
      },
    }),
  };
}

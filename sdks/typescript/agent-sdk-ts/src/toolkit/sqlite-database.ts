import type { SQLDatabase, SQLQueryResult } from "./sql-query.js";

/** An open SQLite database, as `node:sqlite` and `better-sqlite3` have it. */
export interface SQLiteDatabase {
  exec(sql: string): unknown;
  prepare(sql: string): SQLiteStatement;
}

/** A statement of such a database; older handles have no `iterate` or `columns`. */
export interface SQLiteStatement {
  all(): unknown[];
  run(): { changes: number | bigint; lastInsertRowid: number | bigint };
  /** With it no more rows are read than are told. */
  iterate?(): Iterable<unknown>;
  /** With it also a result without rows has its columns. */
  columns?(): { name: string }[];
}

/** An adapter for such a database. What is read only is read under `PRAGMA query_only`, which is put back then. */
export function sqliteDatabase(database: SQLiteDatabase): SQLDatabase {
  const query = (sql: string, rowsMax: number): SQLQueryResult => {
    const statement = database.prepare(sql);
    const rows: Record<string, unknown>[] = [];
    for (const row of statement.iterate?.() ?? statement.all()) {
      rows.push(row as Record<string, unknown>);
      if (rows.length >= rowsMax) break;
    }
    const columns = statement.columns?.().map(({ name }) => name) ?? Object.keys(rows[0] ?? {});
    return { columns, rows: rows.map((row) => columns.map((name) => row[name])) };
  };
  return {
    query,
    exec: (sql) => {
      const { changes, lastInsertRowid } = database.prepare(sql).run();
      return { rowsAffected: Number(changes), lastInsertId: lastInsertRowid };
    },
    readOnly: (sql, rowsMax) => {
      const before = isHeld(database);
      database.exec("PRAGMA query_only = ON");
      try {
        if (!isHeld(database)) throw new Error("the session cannot be made read-only");
        return query(sql, rowsMax);
      } finally {
        if (!before) database.exec("PRAGMA query_only = OFF");
      }
    },
  };
}

/** Whether nothing can be written, by what the database itself says. */
function isHeld(database: SQLiteDatabase): boolean {
  const [row] = database.prepare("PRAGMA query_only").all() as { query_only?: number | bigint }[];
  return Number(row?.query_only) === 1;
}

import { encodeRunState, parseRunState, type RunState } from "./state.js";
import type { RunStore } from "./store.js";

/** An open SQLite database, as `node:sqlite` and `better-sqlite3` have it. */
export interface SqliteHandle {
  exec(sql: string): unknown;
  prepare(sql: string): { run(...values: string[]): unknown; get(...values: string[]): unknown };
}

/** Keeps runs in the table `joytoken_run` of a SQLite database, which it makes where it is not there. */
export class SqliteRunStore implements RunStore {
  readonly #database: SqliteHandle;

  constructor(database: SqliteHandle) {
    this.#database = database;
    database.exec(
      "CREATE TABLE IF NOT EXISTS joytoken_run " +
        "(run_id TEXT PRIMARY KEY, state TEXT NOT NULL, updated_at TEXT NOT NULL)",
    );
  }

  async save(state: RunState): Promise<void> {
    const upsert = this.#database.prepare(
      "INSERT INTO joytoken_run (run_id, state, updated_at) VALUES (?, ?, ?) " +
        "ON CONFLICT (run_id) DO UPDATE SET state = excluded.state, updated_at = excluded.updated_at",
    );
    upsert.run(state.run.id, encodeRunState(state), new Date().toISOString());
  }

  async load(runId: string): Promise<RunState | undefined> {
    const row = this.#database.prepare("SELECT state FROM joytoken_run WHERE run_id = ?").get(runId);
    return row === undefined || row === null ? undefined : parseRunState((row as { state: string }).state);
  }
}

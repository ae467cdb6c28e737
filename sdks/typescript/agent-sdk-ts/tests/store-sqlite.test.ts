import assert from "node:assert/strict";
import { test } from "node:test";
import { Agent, SqliteRunStore } from "@joytoken/agent-sdk-ts";
import { newRunState } from "../dist/state.js";
import { call, calls, recording, says, ScriptedModel } from "./model.js";
import { openSqlite } from "./sqlite.js";

const stateOf = (id: string) => newRunState({ id, parent_id: null, workflow: "w", budget: "1" }, [{ role: "user", content: "é" }]);

test("a run is one row of the table, which stays when another store opens it", async (t) => {
  const handle = await openSqlite(t);
  const store = new SqliteRunStore(handle);
  const state = stateOf("r');DROP/**/TABLE/**/joytoken_run;--");
  await store.save(state);
  await store.save({ ...state, final_text: "later" });
  await store.save(stateOf("other"));
  const again = new SqliteRunStore(handle);
  assert.deepEqual(await again.load(state.run.id), { ...state, final_text: "later" });
  assert.equal(await again.load("nobody"), undefined);
  const rows = handle.prepare("SELECT run_id, updated_at FROM joytoken_run ORDER BY run_id").all() as { run_id: string; updated_at: string }[];
  assert.deepEqual(rows.map(({ run_id }) => run_id), ["other", state.run.id]);
  for (const { updated_at } of rows) assert.match(updated_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  const columns = handle.prepare("PRAGMA table_info(joytoken_run)").all() as { name: string; type: string; notnull: number; pk: number }[];
  const described = columns.map(({ name, type, notnull, pk }) => [name, type, notnull, pk]);
  assert.deepEqual(described, [["run_id", "TEXT", 0, 1], ["state", "TEXT", 1, 0], ["updated_at", "TEXT", 1, 0]]);
});

test("a row that is no state is an error, never a fresh run", async (t) => {
  const handle = await openSqlite(t);
  const store = new SqliteRunStore(handle);
  handle.prepare("INSERT INTO joytoken_run VALUES (?, ?, ?)").run("r", "{", "now");
  await assert.rejects(store.load("r"), SyntaxError);
});

test("an agent goes on from SQLite with a decision", async (t) => {
  const handle = await openSqlite(t);
  const tool = recording("t", "ran", { requiresApproval: true });
  const first = new Agent({ model: new ScriptedModel(calls(call("1", "t"))), tools: [tool], store: new SqliteRunStore(handle) });
  assert.equal((await first.run({ input: "go", run: { id: "r" } })).status, "pending");
  const second = new Agent({ model: new ScriptedModel(says("the end")), tools: [tool], store: new SqliteRunStore(handle) });
  const result = await second.resume("r", { decisions: { 1: true } });
  assert.deepEqual([result.status, result.finalText, tool.ran.length], ["done", "the end", 1]);
  assert.equal((await new SqliteRunStore(handle).load("r"))?.status, "done");
});

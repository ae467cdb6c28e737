import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { Agent, FileRunStore, MemoryRunStore, SqliteRunStore, type RunState, type RunStore } from "@joytoken/agent-sdk-ts";
import { stateFileName } from "../dist/store-file.js";
import { newRunState } from "../dist/state.js";
import { call, calls, recording, says, ScriptedModel } from "./model.js";
import { eachVector } from "./vectors.js";

eachVector("state-files", async (runId, expect) => assert.equal(await stateFileName(runId), expect));

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "joytoken-runs-"));
  t.after(() => rm(folder, { recursive: true }));
  return folder;
}

/** A database in the shape of a handle, with the two statements that the store has. */
class Rows {
  readonly rows = new Map<string, { state: string; updated: string }>();
  exec(sql: string): void {
    assert.match(sql, /^CREATE TABLE IF NOT EXISTS joytoken_run \(run_id TEXT PRIMARY KEY/);
  }
  prepare(sql: string): { run(...values: string[]): unknown; get(...values: string[]): unknown } {
    return {
      run: (id, state, updated) => {
        assert.match(sql, /^INSERT INTO joytoken_run .* ON CONFLICT \(run_id\) DO UPDATE/);
        return this.rows.set(id!, { state: state!, updated: updated! });
      },
      get: (id) => this.rows.get(id!),
    };
  }
}

const STORES: Record<string, (t: TestContext) => Promise<RunStore>> = {
  memory: async () => new MemoryRunStore(),
  file: async (t) => new FileRunStore(join(await folderOf(t), "new")),
  sqlite: async () => new SqliteRunStore(new Rows()),
};

for (const [name, make] of Object.entries(STORES)) {
  test(`the ${name} store gives back what it was given, copied`, async (t) => {
    const store = await make(t);
    assert.equal(await store.load("nobody"), undefined);
    const state = newRunState({ id: "../r/1", parent_id: null, workflow: "w", budget: "1" }, [{ role: "user", content: "é" }]);
    await store.save(state);
    assert.deepEqual(await store.load("../r/1"), state);
    state.final_text = "later";
    assert.equal((await store.load("../r/1"))?.final_text, "");
    await store.save(state);
    assert.equal((await store.load("../r/1"))?.final_text, "later");
  });
}

test("a run's file is its owner's alone, and nothing else is left beside it", async (t) => {
  const folder = await folderOf(t);
  await new FileRunStore(folder).save(newRunState({ id: "r", parent_id: null, workflow: null, budget: null }, []));
  assert.deepEqual(await readdir(folder), ["r.json"]);
  assert.equal((await stat(join(folder, "r.json"))).mode & 0o777, 0o600);
  assert.equal(JSON.parse(await readFile(join(folder, "r.json"), "utf8")).run.id, "r");
});

test("a file that is no state is an error, never a fresh run", async (t) => {
  const folder = await folderOf(t);
  const store = new FileRunStore(folder);
  await writeFile(join(folder, "r.json"), "{");
  await assert.rejects(store.load("r"), SyntaxError);
  await store.save(newRunState({ id: "other", parent_id: null, workflow: null, budget: null }, []));
  await writeFile(join(folder, "r.json"), await readFile(join(folder, "other.json")));
  await assert.rejects(store.load("r"), /the file of run "r" has run "other"/);
});

/** A store that keeps every state that was saved. */
class Keeping extends MemoryRunStore {
  readonly saved: RunState[] = [];
  override async save(state: RunState): Promise<void> {
    this.saved.push(structuredClone(state));
    await super.save(state);
  }
}

const turns = () => [calls(call("1", "t"), call("2", "t")), says("the end")] as const;

test("a run is saved before its first call, after each answer, after its tools and at its end", async () => {
  const store = new Keeping();
  await new Agent({ model: new ScriptedModel(...turns()), tools: [recording("t")], store }).run("go");
  const seen = store.saved.map(({ step, status, steps }) => [step, status, steps.at(-1)?.tool_results.length]);
  assert.deepEqual(seen, [[0, "running", undefined], [1, "running", 0], [1, "running", 2], [2, "done", 0]]);
});

test("from each saved state another process comes to the same end, under the same keys", async () => {
  const store = new Keeping();
  const first = new ScriptedModel(...turns());
  const whole = await new Agent({ model: first, tools: [recording("t")], store }).run({ input: "go", run: { id: "r" } });
  for (const [at, state] of store.saved.entries()) {
    const model = new ScriptedModel(...turns().slice(state.step));
    const tool = recording("t");
    const result = await new Agent({ model, tools: [tool] }).resume(state);
    assert.deepEqual([result.finalText, result.messages, result.steps], [whole.finalText, whole.messages, whole.steps]);
    const expected = first.asked.slice(state.step);
    const bodies = (asked: typeof expected) => asked.map(({ messages, tools, idempotencyKey }) => JSON.stringify([messages, tools, idempotencyKey]));
    assert.deepEqual(bodies(model.asked), bodies(expected), `state ${at}`);
  }
});

test("a durable call says so, a run's id is used once, and unknown runs are told", async () => {
  const model = new ScriptedModel(says("x"), says("y"));
  const agent = new Agent({ model, store: new MemoryRunStore() });
  await agent.run({ input: "go", run: { id: "r" } });
  assert.equal(model.asked[0]?.durable, true);
  await assert.rejects(agent.run({ input: "go", run: { id: "r" } }), /run "r" is in the store already/);
  await assert.rejects(agent.resume("s"), /run "s" is not in the store/);
  await assert.rejects(new Agent({ model }).resume("r"), /the agent has no store/);
  assert.equal((await agent.resume("r")).finalText, "x");
});

test("a result that came before a failure is saved", async () => {
  const store = new MemoryRunStore();
  const controller = new AbortController();
  const tools = [recording("t"), { name: "stop", execute: () => { controller.abort(new Error("enough")); return new Promise(() => {}); } }];
  const model = new ScriptedModel(calls(call("1", "t"), call("2", "stop")));
  const agent = new Agent({ model, tools, store });
  await assert.rejects(agent.run({ input: "go", run: { id: "r" }, signal: controller.signal }), /enough/);
  const state = await store.load("r");
  assert.deepEqual(state?.steps[0]?.tool_results.map(({ tool_call_id }) => tool_call_id), ["1"]);
});

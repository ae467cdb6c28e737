import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { FileRunStore, type RunState } from "@joytoken/agent-sdk-ts";
import { newRunState } from "../dist/state.js";

const stateOf = (id: string, text = ""): RunState => ({
  ...newRunState({ id, parent_id: null, workflow: null, budget: null }, []),
  final_text: text,
});

/** A folder within a folder, so that what would leave it is seen. */
async function foldersOf(t: TestContext): Promise<{ outer: string; folder: string }> {
  const outer = await mkdtemp(join(tmpdir(), "joytoken-runs-"));
  t.after(() => rm(outer, { recursive: true }));
  return { outer, folder: join(outer, "runs") };
}

test("no id leads out of the folder", async (t) => {
  const { outer, folder } = await foldersOf(t);
  const store = new FileRunStore(folder);
  const ids = ["../out", "/etc/passwd", "..", "a/../../out", "..\\out"];
  for (const id of ids) await store.save(stateOf(id, id));
  for (const id of ids) assert.equal((await store.load(id))?.final_text, id);
  assert.deepEqual(await readdir(outer), ["runs"]);
  assert.equal((await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isFile()).length, ids.length);
  assert.equal((await stat(folder)).mode & 0o777, 0o700);
});

test("a save that fails leaves nothing beside, and another run as it was", async (t) => {
  const { folder } = await foldersOf(t);
  const store = new FileRunStore(folder);
  await store.save(stateOf("kept", "here"));
  await mkdir(join(folder, "r.json"));
  await assert.rejects(store.save(stateOf("r")), { code: "EISDIR" });
  assert.deepEqual((await readdir(folder)).sort(), ["kept.json", "r.json"]);
  assert.equal((await store.load("kept"))?.final_text, "here");
});

test("a state takes the place of a file that others could read, as its owner's alone", async (t) => {
  const { folder } = await foldersOf(t);
  const store = new FileRunStore(folder);
  await store.save(stateOf("r"));
  await chmod(join(folder, "r.json"), 0o644);
  await store.save(stateOf("r", "later"));
  assert.equal((await stat(join(folder, "r.json"))).mode & 0o777, 0o600);
});

test("of saves at once a whole one stays, and is whole whenever it is read", async (t) => {
  const { folder } = await foldersOf(t);
  const store = new FileRunStore(folder);
  const texts = Array.from({ length: 20 }, (_, n) => String(n).repeat(10_000));
  await store.save(stateOf("r", texts[0]));
  const read = Promise.all(texts.map(async () => (await store.load("r"))!.final_text));
  await Promise.all(texts.map((text) => store.save(stateOf("r", text))));
  for (const text of [...(await read), (await store.load("r"))!.final_text]) assert.ok(texts.includes(text));
  assert.deepEqual(await readdir(folder), ["r.json"]);
});

test("what a crash left beside a run is not taken for it", async (t) => {
  const { folder } = await foldersOf(t);
  const store = new FileRunStore(folder);
  await store.save(stateOf("r", "whole"));
  await writeFile(join(folder, "r.json.1-1.tmp"), '{"version":1,');
  assert.equal((await store.load("r"))?.final_text, "whole");
});

import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Agent, type ToolExecutionContext } from "@joytoken/agent-sdk-ts";
import {
  audit,
  createAgent,
  createToolkit,
  defaultToolkit,
  fileRead,
  fileWrite,
  gateFileWrite,
  gateShell,
  optionalStringArg,
  PermissionMode,
  shell,
  stringArg,
  timeout,
  Toolkit,
  withDefaults,
  type Middleware,
  type Permission,
} from "@joytoken/agent-sdk-ts/toolkit";
import { call, calls, context, recording, says, ScriptedModel } from "./model.js";

const PERMISSIONS: [Permission, RegExp | undefined][] = [
  [{ mode: PermissionMode.Auto }, undefined],
  [{ mode: PermissionMode.Deny }, /^tool "t" denied by permission policy$/],
  [{ mode: PermissionMode.Ask }, /^tool "t" requires approval but no permission handler is configured$/],
  [{ mode: PermissionMode.Ask, ask: () => true }, undefined],
  [{ mode: PermissionMode.Ask, ask: async () => false }, /^tool "t" rejected by permission handler$/],
  [{ mode: PermissionMode.Ask, ask: () => Promise.reject(new Error("asleep")) }, /^tool "t" permission check failed: asleep$/],
  [{ mode: PermissionMode.Ask, ask: () => "no" as never }, /^tool "t" rejected by permission handler$/],
  [{ mode: "maybe" as PermissionMode, ask: () => true }, /^tool "t" denied by permission policy$/],
];

for (const [permission, refused] of PERMISSIONS) {
  test(`permission ${permission.mode}: ${refused?.source ?? "it runs"}`, async () => {
    const tool = recording("t", "ran");
    const [wrapped] = new Toolkit({ permission }).register(tool).tools();
    const ran = async (): Promise<unknown> => wrapped!.execute!({ a: 1 }, context("t"));
    if (refused === undefined) assert.equal(await ran(), "ran");
    else await assert.rejects(ran(), (error: Error) => refused.test(error.message));
    assert.equal(tool.ran.length, refused === undefined ? 1 : 0);
  });
}

test("a permission is asked with the call and the step", async () => {
  const asked: unknown[] = [];
  const permission = { mode: PermissionMode.Ask, ask: (request: unknown) => Boolean(asked.push(request)) };
  const model = new ScriptedModel(calls(call("1", "t", { a: 1 })), says("x"));
  await new Agent({ model, tools: new Toolkit({ permission }).register(recording("t")).tools() }).run("go");
  assert.deepEqual(asked, [{ toolName: "t", input: { a: 1 }, step: 1 }]);
});

test("middleware is around the permission, the first outermost", async () => {
  const order: string[] = [];
  const named = (name: string): Middleware => (_, next) => async (input, given) => {
    order.push(name);
    return next(input, given);
  };
  const permission = { mode: PermissionMode.Ask, ask: () => Boolean(order.push("permission")) };
  const toolkit = new Toolkit({ middleware: [named("a"), named("b")], permission }).register(recording("t"));
  await toolkit.tools()[0]!.execute!({}, context("t"));
  assert.deepEqual(order, ["a", "b", "permission"]);
});

test("a tool of a name that is there takes its place", () => {
  const toolkit = createToolkit().register(recording("a"), recording("b")).register({ ...recording("a"), description: "new" });
  assert.deepEqual(toolkit.tools().map(({ name, description }) => [name, description]), [["a", "new"], ["b", undefined]]);
});

test("the audit hears of each call, also of one that fails", async () => {
  const heard: unknown[] = [];
  const middleware = [audit((name, input, error) => heard.push([name, input, error?.message]))];
  const bad = { name: "bad", execute: () => { throw new Error("no luck"); } };
  const [good, worse] = new Toolkit({ middleware }).register(recording("good"), bad).tools();
  await good!.execute!(1, context("good"));
  await assert.rejects(async () => worse!.execute!(2, context("bad")), /no luck/);
  assert.deepEqual(heard, [["good", 1, undefined], ["bad", 2, "no luck"]]);
});

test("a log that fails hears of a call once, and fails it; one that takes its time is waited for", async () => {
  const heard: unknown[] = [];
  const wrapped = (log: Parameters<typeof audit>[0]) => new Toolkit({ middleware: [audit(log)] }).register(recording("t", "ran")).tools()[0]!;
  const full = wrapped((name) => { heard.push(name); throw new Error("the disk is full"); });
  await assert.rejects(async () => full.execute!({}, context("t")), /^Error: the disk is full$/);
  const slow = wrapped(async (name) => { await new Promise(setImmediate); heard.push(`${name} late`); });
  assert.equal(await slow.execute!({}, context("t")), "ran");
  assert.deepEqual(heard, ["t", "t late"]);
});

test("a tool that is wrapped still waits for an approval", async () => {
  const tool = recording("t", "ran", { requiresApproval: true });
  const model = new ScriptedModel(calls(call("1", "t")), says("x"));
  const result = await new Agent({ model, tools: new Toolkit({ middleware: [timeout(60_000)] }).register(tool).tools() }).run("go");
  assert.deepEqual([result.status, result.pending.map(({ tool_name }) => tool_name), tool.ran], ["pending", ["t"], []]);
});

test("a tool's signal ends with its time, and with the run", async () => {
  const reasons: string[] = [];
  const hearing = {
    name: "t",
    execute: (_: unknown, { signal }: ToolExecutionContext) =>
      new Promise((_, reject) => signal!.addEventListener("abort", () => { reasons.push(signal!.reason.message); reject(new Error("stopped")); })),
  };
  const run = async (ms: number, signal?: AbortSignal) =>
    new Toolkit({ middleware: [timeout(ms)] }).register(hearing).tools()[0]!.execute!({}, { ...context("t"), signal });
  await assert.rejects(run(5), /^Error: tool "t" timed out after 5ms$/);
  const controller = new AbortController();
  const going = assert.rejects(run(Infinity, controller.signal), /^Error: enough$/);
  await new Promise(setImmediate); // the tool has begun
  controller.abort(new Error("enough"));
  await going;
  await assert.rejects(run(60_000, controller.signal), /^Error: enough$/);
  assert.deepEqual(reasons, ['tool "t" timed out after 5ms', "enough"]);
});

test("a tool that takes too long is given up; no bound is none", async () => {
  const slow = { name: "slow", execute: () => new Promise((resolve) => setTimeout(() => resolve("late"), 50)) };
  const run = async (ms: number) => new Toolkit({ middleware: [timeout(ms)] }).register(slow).tools()[0]!.execute!({}, context("slow"));
  await assert.rejects(run(5), /^Error: tool "slow" timed out after 5ms$/);
  assert.equal(await run(0), "late");
});

test("the default tools stand where nothing was said of tools", async () => {
  const model = new ScriptedModel(calls(call("1", "calculator", { expression: "6 * 7" })), says("x"));
  assert.deepEqual(defaultToolkit().tools().map(({ name }) => name), ["calculator", "datetime"]);
  assert.deepEqual(withDefaults({ model, tools: [] }).tools, []);
  const result = await createAgent({ model }).run("go");
  assert.equal(result.steps[0]?.toolResults[0]?.content, '{"result":42}');
});

test("arguments are read by name", () => {
  assert.equal(stringArg({ a: "x" }, "a"), "x");
  assert.equal(optionalStringArg({ a: null }, "a"), undefined);
  assert.throws(() => stringArg({}, "a"), /missing required argument "a"/);
  assert.throws(() => stringArg(null, "a"), /missing required argument "a"/);
  assert.throws(() => optionalStringArg({ a: 1 }, "a"), /argument "a" must be a string/);
});

test("check 95: without a permission nothing is written and no command run; no path leaves the folder", async (t) => {
  const root = await mkdtemp(join(tmpdir(), "joytoken-tools-"));
  t.after(() => rm(root, { recursive: true }));
  await writeFile(`${root}.secret`, "secret");
  t.after(() => rm(`${root}.secret`));
  await symlink(`${root}.secret`, join(root, "link"));
  const name = `${root}.secret`.split("/").at(-1)!;
  const model = new ScriptedModel(
    calls(
      call("1", "file_write", { path: "new.txt", content: "x" }),
      call("2", "shell", { command: `touch ${root}/by-shell` }),
      call("3", "file_read", { path: `../${name}` }),
      call("4", "file_read", { path: `${root}.secret` }),
      call("5", "file_read", { path: "link" }),
    ),
    says("refused"),
  );
  const tools = [gateFileWrite(fileWrite({ root }), root), gateShell(shell({ workingDir: root }), root), fileRead({ root })];
  const result = await new Agent({ model, tools }).run("go");
  const told = result.steps[0]!.toolResults;
  assert.deepEqual(told.map(({ isError }) => isError), [true, true, true, true, true]);
  assert.match(told[0]!.content, /rejected: no file permission handler configured \(set filePermission to enable\)/);
  assert.match(told[1]!.content, /rejected: no shell permission handler configured \(set shellPermission to enable\)/);
  assert.ok(!told.some(({ content }) => content === "secret" || content.includes('"secret"')));
  assert.deepEqual(await readdir(root), ["link"]);
  assert.equal(result.finalText, "refused");
});

import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import {
  absRoot,
  absWorkingDir,
  calculator,
  dateTime,
  DefaultFileMaxBytes,
  DefaultSearchLimit,
  DefaultShellOutputBytes,
  DefaultShellTimeoutMs,
  defineTool,
  evalExpression,
  fileRead,
  fileSearch,
  fileWrite,
  gateFileWrite,
  gateShell,
  listDir,
  MaxArgBytes,
  shell,
  toChatTool,
  toMessageTool,
  toResponseTool,
  type Tool,
} from "@joytoken/client-sdk-ts";
import { matchesGlob } from "../dist/tools/file-search.js";
import { answering, chatAnswer, clientOf, failure, HELLO, toolCall } from "./fake-server.js";

const CONTEXT = {
  step: 1,
  toolCall: { id: "c", type: "function" as const, function: { name: "x", arguments: "" } },
  messages: [],
};
const use = async (tool: Tool, input: unknown): Promise<any> => tool.execute?.(input, CONTEXT);

/** A workspace with a file, beside a folder with a secret. */
async function workspace(t: TestContext): Promise<{ root: string; outside: string }> {
  const base = await mkdtemp(join(tmpdir(), "joytoken-tools-"));
  t.after(() => rm(base, { recursive: true }));
  const [root, outside] = [join(base, "work"), join(base, "outside")];
  await mkdir(join(root, "sub"), { recursive: true });
  await mkdir(outside);
  await writeFile(join(root, "sub", "a.txt"), "hällo");
  await writeFile(join(outside, "secret.txt"), "secret");
  await symlink(outside, join(root, "out"));
  await symlink(join(outside, "secret.txt"), join(root, "link.txt"));
  await symlink(join(outside, "new.txt"), join(root, "dangling.txt"));
  await symlink(join(root, "sub"), join(root, "within"));
  return { root, outside };
}

test("the constants and folders", () => {
  assert.deepEqual([MaxArgBytes, DefaultFileMaxBytes, DefaultSearchLimit], [1 << 20, 1 << 20, 200]);
  assert.deepEqual([DefaultShellTimeoutMs, DefaultShellOutputBytes], [30_000, 64 << 10]);
  assert.deepEqual([absRoot({}), absRoot({ root: "" }), absWorkingDir({})], Array(3).fill(process.cwd()));
  assert.equal(absRoot({ root: "x/../y" }), join(process.cwd(), "y"));
});

test("calculator and datetime", async () => {
  assert.deepEqual(await use(calculator(), { expression: "2*(3+4)" }), { result: 14 });
  assert.match((await failure(use(calculator(), { expression: "1/0" }))).message, /^calculator: division by zero$/);
  assert.match((await failure(use(calculator(), {}))).message, /^calculator: argument expression must be a string$/);
  const long = "1".repeat(MaxArgBytes + 1);
  assert.match((await failure(use(calculator(), { expression: long }))).message, /over 1048576 bytes/);
  assert.throws(() => evalExpression("(".repeat(100_000)), /nested more than/);
  assert.throws(() => evalExpression("9".repeat(400)), /too large/);
  const utc = await use(dateTime(), {});
  assert.match(utc.datetime, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d$/);
  assert.equal(Date.parse(`${utc.datetime.replace(" ", "T")}Z`) / 1000, utc.unix);
  assert.equal((await use(dateTime(), { timezone: "Asia/Shanghai" })).timezone, "Asia/Shanghai");
  const wrong = await failure(use(dateTime(), { timezone: "Mars/Base" }));
  assert.equal(wrong.message, 'datetime: invalid timezone "Mars/Base"');
});

test("95. files are read, written, listed and found within the workspace", async (t) => {
  const { root } = await workspace(t);
  assert.deepEqual(await use(fileRead({ root }), { path: "sub/a.txt" }), {
    path: "sub/a.txt",
    content: "hällo",
    bytes: 6,
  });
  assert.deepEqual(await use(fileRead({ root }), { path: "./within//a.txt" }), {
    path: "within/a.txt",
    content: "hällo",
    bytes: 6,
  });
  assert.deepEqual(await use(fileRead({ root, maxBytes: 2 }), { path: "sub/a.txt" }), {
    path: "sub/a.txt",
    content: "h",
    bytes: 1,
    truncated: true,
  });
  assert.deepEqual(await use(fileWrite({ root }), { path: "new/deep/b.txt", content: "ä" }), {
    path: "new/deep/b.txt",
    bytes: 2,
  });
  assert.equal(await readFile(join(root, "new/deep/b.txt"), "utf8"), "ä");
  await use(fileWrite({ root }), { path: "new/deep/b.txt", content: "" });
  assert.equal(await readFile(join(root, "new/deep/b.txt"), "utf8"), "");
  assert.deepEqual(await use(listDir({ root }), { path: "sub" }), {
    path: "sub",
    entries: [{ name: "a.txt", dir: false, bytes: 6 }],
    truncated: false,
  });
  const all = await use(listDir({ root }), {});
  assert.deepEqual(all.entries.map(({ name, dir }: any) => `${name} ${dir}`).sort(), [
    "dangling.txt false",
    "link.txt false",
    "new true",
    "out false",
    "sub true",
    "within false",
  ]);
  assert.deepEqual(await use(fileSearch({ root }), { pattern: "*.t?t" }), {
    pattern: "*.t?t",
    matches: ["dangling.txt", "link.txt", "new/deep/b.txt", "sub/a.txt"],
    count: 4,
    truncated: false,
  });
});

test("95. what leads out of the workspace is refused, and nothing outside is touched", async (t) => {
  const { root, outside } = await workspace(t);
  const hostile = [
    "../outside/secret.txt",
    "sub/../../outside/secret.txt",
    join(outside, "secret.txt"),
    "/etc/passwd",
    "C:\\secret.txt",
    "\\\\host\\share\\x",
    "out/secret.txt",
    "out/new.txt",
    "out/deep/new.txt",
    "link.txt",
    "dangling.txt",
    "within/../out/secret.txt",
    "a\0b",
    "",
  ];
  for (const path of hostile) {
    const read = await failure(use(fileRead({ root }), { path }));
    const wrote = await failure(use(fileWrite({ root }), { path, content: "x" }));
    assert.match(read.message, /^file_read: /, path);
    assert.match(wrote.message, /^file_write: /, path);
    assert.ok(!`${read.message}${wrote.message}`.includes(root), "the machine's own paths are not told");
  }
  for (const path of ["..", "out", "/"])
    assert.match((await failure(use(listDir({ root }), { path }))).message, /^list_dir: /);
  assert.match((await failure(use(fileSearch({ root }), { pattern: "../*" }))).message, /without slashes/);
  assert.equal(await readFile(join(outside, "secret.txt"), "utf8"), "secret");
  assert.match((await failure(readFile(join(outside, "new.txt")))).message, /ENOENT/);
});

test("what is no regular file, or too large, is refused", async (t) => {
  const { root } = await workspace(t);
  assert.match(
    (await failure(use(fileRead({ root }), { path: "sub" }))).message,
    /^file_read: (it is a folder|"sub" is no regular file)$/,
  );
  assert.match((await failure(use(fileRead({ root }), { path: "gone.txt" }))).message, /^file_read: no such file/);
  await use(shell({ workingDir: root }), { command: "mkfifo pipe" });
  assert.match((await failure(use(fileRead({ root }), { path: "pipe" }))).message, /no regular file/);
  const large = await failure(use(fileWrite({ root, maxBytes: 3 }), { path: "x", content: "1234" }));
  assert.match(large.message, /content is over 3 bytes/);
});

test("a list and a search end at 200", async (t) => {
  const { root } = await workspace(t);
  await Promise.all(Array.from({ length: 205 }, (_, n) => writeFile(join(root, "sub", `n${n}`), "")));
  const listed = await use(listDir({ root }), { path: "sub" });
  assert.deepEqual([listed.entries.length, listed.truncated], [200, true]);
  const found = await use(fileSearch({ root }), { pattern: "n*" });
  assert.deepEqual([found.count, found.matches.length, found.truncated], [200, 200, true]);
});

test("a pattern takes no longer than its length times the name's", () => {
  assert.equal(matchesGlob("*a".repeat(500) + "b", "a".repeat(5000)), false);
  assert.equal(matchesGlob("*a*b?", "xxabyybz"), true);
  assert.equal(matchesGlob("a[b]", "a[b]"), true);
});

test("the shell runs, is bounded, and leaves nothing behind", async (t) => {
  const { root } = await workspace(t);
  process.env["JOY_TOKEN_SECRET"] = "s";
  t.after(() => delete process.env["JOY_TOKEN_SECRET"]);
  const command = "cat sub/a.txt; echo $JOY_TOKEN_SECRET; echo no >&2; exit 3";
  assert.deepEqual(await use(shell({ workingDir: root }), { command }), {
    command,
    output: "hällo\nno\n",
    truncated: false,
    exit_code: 3,
  });
  const slow = await use(shell({ workingDir: root, timeoutMs: 100 }), { command: "sleep 60 & sleep 60" });
  assert.deepEqual([slow.timed_out, slow.exit_code], [true, -1]);
  const loud = await use(shell({ workingDir: root, maxOutputBytes: 10 }), { command: "yes" });
  assert.deepEqual([loud.output, loud.truncated, loud.output_limit_exceeded], ["y\n".repeat(5), true, true]);
  const left = await use(shell({ workingDir: root }), { command: "sleep 60 & echo $!" });
  await assertGone(Number(left.output));
  assert.match((await failure(use(shell({ workingDir: join(root, "gone") }), { command: "ls" }))).message, /^shell: /);
  assert.match((await failure(use(shell({}), { command: " " }))).message, /command is empty/);
});

async function assertGone(pid: number): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    const state = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
    if (state === "" || / Z /.test(state)) return;
    await new Promise((later) => setTimeout(later, 10));
  }
  throw new Error(`${pid} is still there`);
}

test("95. file_write and shell are refused without permission, and the disk is as it was", async (t) => {
  const { root } = await workspace(t);
  const calls = [
    toolCall("c1", "file_write", { path: "evil.txt", content: "x" }),
    toolCall("c2", "shell", { command: "touch evil.txt" }),
  ];
  const server = await answering(t, chatAnswer({ tool_calls: calls }, "tool_calls"), chatAnswer({ content: "ok" }));
  await clientOf(server, { fileWorkspace: root, shellWorkspace: root }).chat.completions.create(HELLO);
  const told = server.seen[1]?.body.messages.slice(-2).map(({ content }: any) => JSON.parse(content).error.message);
  assert.match(told[0], /rejected: no file permission handler configured \(set filePermission to enable\)/);
  assert.match(told[1], /rejected: no shell permission handler configured \(set shellPermission to enable\)/);
  assert.match((await failure(readFile(join(root, "evil.txt")))).message, /ENOENT/);
});

test("95. a permission callback sees what it decides on, and no, a failure and a maybe are all no", async (t) => {
  const { root } = await workspace(t);
  const asked: object[] = [];
  const input = { path: "b.txt", content: "x" };
  const gated = gateFileWrite(fileWrite({ root }), root, (request) => asked.push(request) > 0);
  await use(gated, input);
  assert.deepEqual(asked[0], { toolName: "file_write", input, root, step: 1 });
  const commands = gateShell(shell({ workingDir: root }), root, async (request) => asked.push(request) > 0);
  await use(commands, { command: "true" });
  assert.deepEqual(asked[1], {
    toolName: "shell",
    input: { command: "true" },
    command: "true",
    workingDir: root,
    step: 1,
  });
  const deny = async (permission: any): Promise<string> =>
    (await failure(use(gateShell(shell({ workingDir: root }), root, permission), { command: "touch evil" }))).message;
  assert.match(await deny(() => false), /rejected by shell permission handler/);
  assert.match(await deny(() => "yes"), /rejected by shell permission handler/);
  assert.match(await deny(() => Promise.reject(new Error("asleep"))), /permission check failed: asleep/);
  assert.match((await failure(readFile(join(root, "evil")))).message, /ENOENT/);
});

test("tools are declared in three shapes", () => {
  const tool = defineTool({ name: "f", description: "d" });
  const schema = { type: "object", properties: {} };
  assert.deepEqual(toChatTool(tool), {
    type: "function",
    function: { name: "f", description: "d", parameters: schema },
  });
  assert.deepEqual(toResponseTool(tool), { type: "function", name: "f", description: "d", parameters: schema });
  assert.deepEqual(toMessageTool(tool), { name: "f", description: "d", input_schema: schema });
});

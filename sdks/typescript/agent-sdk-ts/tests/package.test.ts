import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createContext, runInContext } from "node:vm";
import { build } from "esbuild";

const run = promisify(execFile);
const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const CLIENT = fileURLToPath(new URL("../../client-sdk-ts", import.meta.url));
const TSC = fileURLToPath(new URL("../../node_modules/typescript/bin/tsc", import.meta.url));

/** A program in one file, as it would be served to a browser. */
async function bundled(program: string, platform: "browser" | "neutral" = "browser"): Promise<string> {
  const { outputFiles, warnings } = await build({
    stdin: { contents: program, resolveDir: PACKAGE, loader: "js" },
    bundle: true,
    format: "iife",
    minify: true,
    platform,
    write: false,
    logLevel: "silent",
  });
  assert.deepEqual(warnings, []);
  return outputFiles[0]?.text ?? "";
}

const PROGRAM = `
  import { Agent, createJoyTokenProvider, FileRunStore } from "@joytoken/agent-sdk-ts";
  import { defaultToolkit } from "@joytoken/agent-sdk-ts/toolkit";
  const call = { id: "1", type: "function", function: { name: "calculator", arguments: '{"expression":"6*7"}' } };
  const turns = [{ role: "assistant", tool_calls: [call] }, { role: "assistant", content: "It is 42." }];
  const fetch = async () => Response.json({ choices: [{ index: 0, message: turns.shift() }] });
  const model = createJoyTokenProvider({ apiKey: "k", fetch });
  const store = new FileRunStore("runs");
  const result = await new Agent({ model, store, tools: defaultToolkit().tools() }).run({ input: "go", run: { id: "r" } });
  console.log(result.finalText, result.steps[0].toolResults[0].content, (await store.load("r")).status);
`;
const TYPED = `
  import * as sdk from "@joytoken/agent-sdk-ts";
  import * as kit from "@joytoken/agent-sdk-ts/toolkit";
  const model = sdk.createJoyTokenProvider({ apiKey: "k" });
  const input = sdk.object({ city: sdk.string() });
  const weather = sdk.tool({ name: "w", input, execute: ({ city }) => city.length });
  export const agent: sdk.Agent = kit.createAgent({ model, tools: [weather, kit.httpFetch({ allowedHosts: [] })] });
`;

test("the packed package installs beside its peer into an empty project without a network, and runs", async (t) => {
  const project = await mkdtemp(join(tmpdir(), "joytoken-package-"));
  t.after(() => rm(project, { recursive: true }));
  const packed = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", project, CLIENT, PACKAGE], {
    cwd: project,
  });
  const [client, agent] = JSON.parse(packed.stdout);
  const kinds = new Set(agent.files.map(({ path }: { path: string }) => path.split("/")[0]));
  assert.deepEqual(kinds, new Set(["LICENSE", "README.md", "dist", "package.json", "src"]));
  await writeFile(join(project, "package.json"), '{"private": true, "type": "module"}');
  const install = ["install", "--offline", "--no-audit", "--no-fund", `./${client.filename}`, `./${agent.filename}`];
  await run("npm", install, { cwd: project });
  assert.deepEqual((await readdir(join(project, "node_modules/@joytoken"))).sort(), ["agent-sdk-ts", "client-sdk-ts"]);
  await writeFile(join(project, "main.js"), PROGRAM);
  const { stdout, stderr } = await run(process.execPath, ["main.js"], { cwd: project });
  assert.deepEqual([stdout, stderr], ['It is 42. {"result":42} done\n', ""]);
  await writeFile(join(project, "main.ts"), TYPED);
  const strict = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", "main.ts"];
  const checked = await run(process.execPath, [TSC, ...strict], { cwd: project }).catch((error) => error);
  assert.equal(checked.stdout, "", "the declarations need nothing that is not installed");
});

test("in a runtime without Node.js an agent runs, and what needs Node.js says so", async () => {
  const program = `
    import { Agent, FileRunStore, MemoryRunStore } from "@joytoken/agent-sdk-ts";
    import { httpFetch } from "@joytoken/agent-sdk-ts/toolkit";
    globalThis.done = (async () => {
      const model = { complete: async () => ({ message: { role: "assistant", content: "here" } }) };
      const { runId, finalText } = await new Agent({ model, store: new MemoryRunStore() }).run("go");
      const failure = (promise) => promise.then(() => "it did", (error) => error.message);
      const stored = await failure(new Agent({ model, store: new FileRunStore("runs") }).run("go"));
      const execute = async (config) => httpFetch(config).execute({ url: "http://a.example/" });
      const fetched = await failure(execute({ allowedHosts: ["a.example"] }));
      const page = await execute({ allowedHosts: ["a.example"], fetchImpl: async () => new Response("page") });
      return [/^run-[0-9a-f]{32}$/.test(runId), finalText, stored, fetched, page.body].join("; ");
    })();
  `;
  const { fetch, Headers, Response, TextDecoder, TextEncoder, AbortController, URL, structuredClone } = globalThis;
  const web = { fetch, Headers, Response, TextDecoder, TextEncoder, AbortController, URL, structuredClone };
  const stored = "this runtime has no files: keep runs in another store";
  for (const platform of ["browser", "neutral"] as const) {
    const script = await bundled(program, platform);
    assert.doesNotMatch(script, /node:|require\(/);
    const context = createContext({ ...web, setTimeout, clearTimeout });
    runInContext(script, context);
    const told = await (context as unknown as { done: Promise<string> }).done;
    assert.equal(told, `true; here; ${stored}; http_fetch: outside of Node.js it needs a fetchImpl; page`);
  }
});

test("who takes one function gets no agent with it", async () => {
  const one = await bundled('import { maxCost } from "@joytoken/agent-sdk-ts"; console.log(maxCost);');
  assert.ok(one.length < 500, `${one.length} bytes`);
  assert.equal((await bundled('import { Agent } from "@joytoken/agent-sdk-ts";')).trim(), "(()=>{})();");
  assert.equal((await bundled('import { Toolkit } from "@joytoken/agent-sdk-ts/toolkit";')).trim(), "(()=>{})();");
});

test("no module of the package names a module of Node.js but the one that stands for it", async () => {
  const names = (await readdir(join(PACKAGE, "dist"), { recursive: true })) as string[];
  const naming: string[] = [];
  for (const name of names.filter((file) => file.endsWith(".js"))) {
    if (/(from |import\()"node:/.test(await readFile(join(PACKAGE, "dist", name), "utf8"))) naming.push(name);
  }
  assert.deepEqual(naming, ["platform-node.js"]);
});

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createContext, runInContext } from "node:vm";
import { build } from "esbuild";

const run = promisify(execFile);
const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const INDEX = fileURLToPath(new URL("../dist/index.js", import.meta.url));

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "joytoken-package-"));
  t.after(() => rm(path, { recursive: true }));
  return path;
}

/** A program in one file, as it would be served to a browser. */
async function bundled(program: string, platform: "browser" | "neutral" = "browser"): Promise<string> {
  const { outputFiles, warnings } = await build({
    stdin: { contents: program.replace("PACKAGE", JSON.stringify(INDEX)), resolveDir: PACKAGE, loader: "js" },
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

test("the packed package installs into an empty project without a network, and runs", async (t) => {
  const project = await folder(t);
  const npm = (...command: string[]) => run("npm", [...command, "--no-audit", "--no-fund"], { cwd: project });
  const packed = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", project], {
    cwd: PACKAGE,
  });
  const { filename, files } = JSON.parse(packed.stdout)[0];
  const kinds = new Set(files.map(({ path }: { path: string }) => path.split("/")[0]));
  assert.deepEqual(kinds, new Set(["LICENSE", "README.md", "dist", "package.json", "src"]));
  await writeFile(join(project, "package.json"), '{"private": true, "type": "module"}');
  await npm("install", "--offline", `./${filename}`);
  const program = `
    import { JoyTokenClient, calculator, callMetadata, fileRead } from "@joytoken/client-sdk-ts";
    const fetch = async () => new Response('{"choices": [], "metadata": {"request_id": "req-1"}}');
    const client = new JoyTokenClient({ apiKey: "k", fetch });
    const answer = await client.chat.completions.create({ model: "auto", messages: [], tools: [] });
    const file = await fileRead({}).execute({ path: "package.json" }, {});
    console.log(callMetadata(answer).request_id, calculator().execute({ expression: "6*7" }).result, file.bytes > 9);
  `;
  await writeFile(join(project, "main.js"), program);
  const { stdout, stderr } = await run(process.execPath, ["main.js"], { cwd: project });
  assert.deepEqual([stdout, stderr], ["req-1 42 true\n", ""]);
  await writeFile(
    join(project, "main.ts"),
    "import * as all from '@joytoken/client-sdk-ts'; export const c: all.JoyTokenClient = new all.JoyTokenClient();",
  );
  const tsc = fileURLToPath(new URL("../../node_modules/typescript/bin/tsc", import.meta.url));
  const strict = ["--noEmit", "--strict", "--module", "nodenext", "--target", "es2022", "main.ts"];
  const checked = await run(process.execPath, [tsc, ...strict], { cwd: project }).catch((error) => error);
  assert.equal(checked.stdout, "", "the declarations need nothing that is not installed");
});

test("in a runtime without Node.js the package is imported, chats and streams", async () => {
  for (const platform of ["browser", "neutral"] as const) {
    const program = `
      import { JoyTokenClient, evalExpression, fileRead, shell } from PACKAGE;
      globalThis.done = (async () => {
        const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
        const bodies = [];
        const whole = '{"choices":[{"message":{"content":"whole"}}]}';
        const piece = 'data: {"choices":[{"delta":{"content":"piece"}}]}\\n\\n';
        const fetch = async (url, init) => {
          if (!UUID.test(init.headers.get("Idempotency-Key"))) throw new Error("no UUID");
          bodies.push(JSON.parse(init.body));
          const { stream } = bodies.at(-1);
          const headers = { "content-type": stream ? "text/event-stream" : "application/json" };
          return new Response(stream ? piece : whole, { headers });
        };
        const client = new JoyTokenClient({ apiKey: "k", fetch });
        const ask = { model: "auto", messages: [] };
        const texts = [(await client.chat.completions.create(ask)).choices[0].message.content];
        for await (const chunk of client.chat.completions.stream(ask)) texts.push(chunk.choices[0].delta.content);
        const refused = await fileRead({}).execute({ path: "x" }, {}).catch((error) => error.message);
        const tools = bodies[0].tools.map((tool) => tool.function.name);
        return [...texts, evalExpression("1+1"), tools.join(), refused].join("; ");
      })();
    `;
    const script = await bundled(program, platform);
    assert.doesNotMatch(script, /node:|require\(/);
    const { fetch, Headers, Response, ReadableStream, TextDecoder, TextEncoder, AbortController } = globalThis;
    const web = { fetch, Headers, Response, ReadableStream, TextDecoder, TextEncoder, AbortController };
    const context = createContext({ ...web, setTimeout, clearTimeout });
    runInContext(script, context);
    const told = await (context as unknown as { done: Promise<string> }).done;
    const needs = "file_read: this runtime has no files and processes: it needs Node.js";
    assert.equal(told, `whole; piece; 2; calculator,datetime; ${needs}`);
  }
});

test("who takes one function gets no client with it", async () => {
  const one = await bundled('import { classifyFinishReason } from PACKAGE; console.log(classifyFinishReason("x"));');
  assert.ok(one.length < 2_000, `${one.length} bytes`);
  assert.doesNotMatch(one, /fetch|Authorization|JoyTokenClient/);
  const nothing = await bundled("import { JoyTokenClient } from PACKAGE;");
  assert.equal(nothing.trim(), "(()=>{})();");
  const client = await bundled("import { JoyTokenClient } from PACKAGE; console.log(JoyTokenClient);");
  assert.ok(client.length < 64_000, `${client.length} bytes`);
});

test("no module of the package has a static import of Node.js but the one that stands for it", async () => {
  const names = (await import("node:fs")).readdirSync(join(PACKAGE, "dist"), { recursive: true }) as string[];
  const importing: string[] = [];
  for (const name of names.filter((file) => file.endsWith(".js"))) {
    if (/from "node:/.test(await readFile(join(PACKAGE, "dist", name), "utf8"))) importing.push(name);
  }
  assert.deepEqual(importing, ["platform-node.js"]);
});

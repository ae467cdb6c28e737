import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { JoyTokenClient } from "@joytoken/client-sdk-ts";
import { answering, chatAnswer, clientOf, collect, failure, fakeServer, HELLO, KEY, send } from "./fake-server.js";

test("receipts, the key and runs are one call away", async (t) => {
  const server = await answering(t, { json: { id: "x" } });
  const client = clientOf(server);
  assert.deepEqual(await client.receipts.retrieve("req-0190"), { id: "x" });
  await client.key.retrieve();
  await client.runs.retrieve("run-1.call/a?b#c");
  await client.models.list({ locale: "zh" }).catch(() => undefined);
  assert.deepEqual(
    server.seen.map(({ method, path }) => `${method} ${path}`),
    [
      "GET /api/v1/requests/req-0190",
      "GET /api/v1/key",
      "GET /api/v1/runs/run-1.call%2Fa%3Fb%23c",
      "GET /api/v1/models?locale=zh",
    ],
  );
  assert.ok(server.seen.every(({ headers }) => headers["idempotency-key"] === undefined));
});

test("an id that leads somewhere else is refused", async (t) => {
  const server = await answering(t, { json: {} });
  const client = clientOf(server);
  for (const id of ["", "..", ".", "a b", "a\r\nb", "ä", "x".repeat(129)]) {
    assert.match((await failure(client.receipts.retrieve(id))).message, /requestId must be/);
    assert.match((await failure(client.runs.retrieve(id))).message, /runId must be/);
  }
  assert.equal(server.seen.length, 0);
});

test("the key is in no error, and in nothing that is printed of a client", async (t) => {
  const echoing = await fakeServer(t, (request, response) => {
    response.writeHead(400, { "X-Echo": String(request.headers.authorization) });
    response.end(JSON.stringify({ error: { message: `bad header ${request.headers.authorization}` } }));
  });
  const odd = await fakeServer(t, (request, response) => void response.end(`<p>${request.headers.authorization}`));
  const fine = await fakeServer(t, (request, response) => {
    const error = { message: `bad ${request.headers.authorization}`, type: "upstream_error" };
    send(response, { headers: { "X-Echo": String(request.headers.authorization) }, json: { error, choices: [] } });
  });
  const failing = async (): Promise<Response> => Promise.reject(new TypeError(`cannot send Bearer ${KEY}`));
  const clients = [
    clientOf(echoing),
    clientOf(odd),
    clientOf(fine),
    clientOf(fine, { fetch: failing }),
    clientOf(echoing, { openAIBaseUrl: ":" }),
    clientOf(echoing, { apiKey: `${KEY}\r\nX-Evil: 1` }),
    clientOf(echoing, { apiKey: `${KEY}漢` }),
    clientOf(echoing, { defaultHeaders: { "X-Key": `${KEY}\n` } }),
  ];
  const shown: string[] = [];
  for (const client of clients) {
    const error = await failure(client.chat.completions.create({ ...HELLO, tools: [] }));
    shown.push(error.message, error.stack, inspect(error, { depth: 9, showHidden: true }), JSON.stringify(error));
    shown.push(...(error.responseHeaders === undefined ? [] : [...error.responseHeaders.values()]));
    shown.push(inspect(client, { depth: 9, showHidden: true }), JSON.stringify(client), String(client));
  }
  for (const data of [`{"error": {"message": "${KEY}"}}`, `<p>${KEY}`]) {
    const server = await answering(t, { events: [`data: ${data}\n\n`] });
    shown.push(inspect(await failure(collect(clientOf(server).chat.completions.stream(HELLO))), { depth: 9 }));
  }
  assert.deepEqual(
    shown.filter((text) => text.includes(KEY)),
    [],
  );
  assert.match(shown.join("\n"), /\[api key\]/);
});

test("an answer that repeats the key as its text is left as it is", async (t) => {
  const server = await answering(t, chatAnswer({ content: `you said ${KEY}` }));
  const answer = await clientOf(server).chat.completions.create({ ...HELLO, tools: [] });
  assert.equal(answer.choices[0]?.message.content, `you said ${KEY}`);
});

test("a hostile header is named, and its value is not", async (t) => {
  const server = await answering(t, { json: {} });
  const refusals: [object, RegExp][] = [
    [{ headers: { "X-Team": "a\r\nX-Evil: 1" } }, /^Header X-Team must not/],
    [{ headers: { "X Team": "a" } }, /^Header "X Team" is no name/],
    [{ idempotencyKey: "a b" }, /^Header Idempotency-Key must be 1 to 255/],
    [{ run: { id: "a\nEvil" } }, /^Header X-JoyToken-Run-Id must be 1 to 128/],
    [{ run: { id: "r", parentId: "" } }, /^Header X-JoyToken-Parent-Run-Id/],
    [{ run: { id: "r", workflow: "a b" } }, /^Header X-JoyToken-Workflow/],
    [{ run: { id: "r", step: "" } }, /^Header X-JoyToken-Step/],
    [{ run: { id: "r", budget: "much" } }, /^Header X-JoyToken-Run-Budget must be a decimal/],
    [{ run: { id: "r", budget: NaN } }, /^Header X-JoyToken-Run-Budget must be a decimal/],
    [{ onDisconnect: "stop\r\nX-Evil: 1" }, /^Header X-JoyToken-On-Disconnect must not/],
  ];
  for (const [options, message] of refusals) {
    const error = await failure(clientOf(server).chat.completions.create({ ...HELLO, tools: [] }, options));
    assert.match(error.message, message);
    assert.ok(!error.message.includes("Evil"));
  }
  assert.equal(server.seen.length, 0);
});

test("a budget is spelled as a decimal, whatever the number", async (t) => {
  const server = await answering(t, { json: { choices: [] } });
  for (const budget of [0.5, 5, 1e-7, "0.000000001", 100, 0]) {
    await clientOf(server).chat.completions.create({ ...HELLO, tools: [] }, { run: { id: "r", budget } });
  }
  const sent = server.seen.map(({ headers }) => headers["x-joytoken-run-budget"]);
  assert.deepEqual(sent, ["0.5", "5", "0.0000001", "0.000000001", "100", "0"]);
});

test("a client without any fetch says what to do", (t) => {
  const { fetch } = globalThis;
  t.after(() => void (globalThis.fetch = fetch));
  delete (globalThis as { fetch?: unknown }).fetch;
  assert.throws(() => new JoyTokenClient(), /^Error: No fetch implementation available\. /);
});

test("the properties of a client", () => {
  const client = new JoyTokenClient({ apiBaseUrl: "http://gateway.test/", timeoutMs: 0, maxRetries: 2 });
  assert.deepEqual(
    [client.apiBaseUrl, client.anthropicBaseUrl, client.anthropicVersion, client.timeoutMs, client.maxRetries],
    ["http://gateway.test", "http://gateway.test/anthropic/v1", "2023-06-01", 0, 2],
  );
  const usual = new JoyTokenClient();
  assert.deepEqual([usual.timeoutMs, usual.maxRetries], [60_000, 0]);
});

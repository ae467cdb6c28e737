import assert from "node:assert/strict";
import { test } from "node:test";
import type { Response, ResponseStreamEvent, Tool } from "@joytoken/client-sdk-ts";
import { answering, clientOf, collect, failure, type Answer } from "./fake-server.js";

const ASK = { model: "auto", input: "hi" };
const reasoning = { type: "reasoning", id: "rs_1", summary: [], encrypted_content: "sealed" };
const call = {
  type: "function_call",
  id: "fc_1",
  call_id: "call_1",
  name: "weather",
  arguments: '{"city":"Ulm"}',
  extra_content: { google: { thought_signature: "s" } },
};
const searched = { type: "web_search_call", id: "ws_1", status: "completed", action: { type: "search", query: "q" } };
const found = { type: "file_search_call", id: "fs_1", status: "completed", results: [{ file_id: "f" }] };
const annotated = [{ type: "url_citation", url: "http://site.test" }];
const said = {
  type: "message",
  role: "assistant",
  content: [{ type: "output_text", text: "blue", annotations: annotated }],
};

function response(id: string, output: unknown[]): Response {
  return { id, object: "response", status: "completed", model: "m", output: output as Response["output"] };
}

function answer(id: string, output: unknown[]): Answer {
  return { json: response(id, output) };
}

const weather: Tool = {
  name: "weather",
  parameters: { type: "object", properties: { city: { type: "string" } } },
  execute: (input) => input,
};

const outputs = [{ type: "function_call_output", call_id: "call_1", output: '{"city":"Ulm"}' }];

test("76. a loop of responses goes on by full replay, with flat tools", async (t) => {
  const server = await answering(t, answer("resp_1", [reasoning, call]), answer("resp_2", [said]));
  const got = await clientOf(server, { tools: [weather] }).responses.run({ ...ASK, instructions: "be brief" });
  assert.equal(got.output_text, "blue");
  const [first, second] = server.seen.map(({ body }) => body);
  assert.equal(server.seen[0]?.path, "/openai/v1/responses");
  assert.deepEqual(first.tools, [{ type: "function", name: "weather", parameters: weather.parameters }]);
  const asked = { type: "message", role: "user", content: "hi" };
  assert.deepEqual(first.input, [asked]);
  assert.deepEqual(second.input, [asked, reasoning, call, ...outputs]);
  assert.deepEqual({ ...second, input: 0 }, { ...first, input: 0 });
});

test("76. with previous_response_id the outputs alone are sent, to the answer before", async (t) => {
  const server = await answering(t, answer("resp_1", [call]), answer("resp_2", [call]), answer("resp_3", [said]));
  await clientOf(server, { tools: [weather] }).responses.run({ ...ASK, previous_response_id: "resp_0" });
  const sent = server.seen.map(({ body }) => [body.previous_response_id, body.input]);
  assert.deepEqual(sent, [
    ["resp_0", [{ type: "message", role: "user", content: "hi" }]],
    ["resp_1", outputs],
    ["resp_2", outputs],
  ]);
});

test("77. items that only a provider knows stay as they are", async (t) => {
  const server = await answering(t, answer("resp_1", [reasoning, searched, found, said]));
  const got = await clientOf(server).responses.create({ ...ASK, tools: [], include: ["reasoning.encrypted_content"] });
  assert.deepEqual(got.output, [reasoning, searched, found, said]);
  assert.equal(server.seen[0]?.body.input, "hi");
  assert.deepEqual(server.seen[0]?.body.include, ["reasoning.encrypted_content"]);
});

const events: ResponseStreamEvent[] = [
  { type: "response.created", sequence_number: 0, response: response("resp_1", []) },
  { type: "response.output_text.delta", sequence_number: 1, output_index: 1, delta: "bl" },
  { type: "response.output_text.delta", sequence_number: 2, output_index: 1, delta: "ue" },
  { type: "response.output_item.done", sequence_number: 3, output_index: 1, item: call as any },
  { type: "response.output_item.done", sequence_number: 4, output_index: 0, item: reasoning as any },
  { type: "response.completed", sequence_number: 5, response: response("resp_1", []) },
];

test("78. a response stream gives its events as they come", async (t) => {
  const server = await answering(t, { events, done: false });
  const got = await collect(clientOf(server).responses.stream({ ...ASK, tools: [] }));
  assert.deepEqual(got, events);
  assert.deepEqual(server.seen[0]?.body, { ...ASK, tools: [], stream: true });
  assert.equal(server.seen[0]?.headers["x-joytoken-on-disconnect"], "stop");
});

test("78. a streamed run merges done items with the terminal output, by index", async (t) => {
  const last = { type: "response.incomplete", response: response("resp_2", [said]) };
  const server = await answering(t, { events, done: false }, { events: [last] });
  const deltas: string[] = [];
  const results: unknown[] = [];
  const got = await clientOf(server, { tools: [weather] }).responses.runStream(ASK, {
    onTextDelta: (delta) => deltas.push(delta),
    onToolResult: ({ tool_name }) => results.push(tool_name),
  });
  assert.equal(got.output_text, "blue");
  assert.deepEqual([deltas, results], [["bl", "ue"], ["weather"]]);
  assert.deepEqual(server.seen[1]?.body.input.slice(1), [reasoning, call, ...outputs]);
});

test("a response stream that fails, or ends too early, is an error of the run", async (t) => {
  const server = await answering(
    t,
    { events: [{ type: "error", message: "no more" }] },
    { events: [{ type: "response.created" }] },
  );
  const client = clientOf(server);
  assert.match((await failure(client.responses.runStream(ASK))).message, /^JoyToken Responses stream error: no more$/);
  const early = await failure(client.responses.runStream(ASK));
  assert.equal(early.message, "JoyToken Responses stream ended without a terminal response event.");
});

test("an answer or event that is no object is an error", async (t) => {
  const client = clientOf(await answering(t, { text: "null" }, { events: [[]] }));
  const message = "JoyToken Responses answer or event is no JSON object";
  assert.equal((await failure(client.responses.create({ ...ASK, tools: [] }))).message, message);
  assert.equal((await failure(client.responses.runStream(ASK))).message, message);
});

test("the default tools of responses are flat, and run; the provider's search is opted in", async (t) => {
  const sum = { type: "function_call", call_id: "c", name: "calculator", arguments: '{"expression":"1+1"}' };
  const server = await answering(t, answer("resp_1", [sum]), answer("resp_2", [said]));
  await clientOf(server, { defaultBuiltinTools: true }).responses.create(ASK);
  const names = server.seen[0]?.body.tools.map((tool: any) => tool.name ?? tool.type);
  assert.deepEqual(names.slice(-2), ["shell", "web_search_preview"]);
  assert.equal(server.seen[1]?.body.input.at(-1).output, '{"result":2}');
  const excluded = ["web_search_preview"];
  await clientOf(server, { defaultBuiltinTools: true, excludedDefaultTools: excluded }).responses.create(ASK);
  assert.equal(server.seen[2]?.body.tools.at(-1).name, "shell");
});

test("79, 80. images are generated and edited, as JSON", async (t) => {
  const data = [{ url: "http://site.test/1.png", revised_prompt: "a black cat" }, { b64_json: "AA==" }];
  const server = await answering(t, { json: { created: 1, data, metadata: { usage: { credits_used: "0.5" } } } });
  const client = clientOf(server);
  const made = await client.images.generate({ model: "auto", prompt: "a cat", n: 2, background: "transparent" });
  assert.deepEqual(made.data, data);
  assert.deepEqual(made.metadata, { usage: { credits_used: "0.5" } });
  await client.images.edit({ model: "stub/a", prompt: "a dog", image: "data:image/png;base64,AA==" });
  await client.images.edit({ model: "auto", prompt: "a dog", image: ["a", "b"], size: "1x1" });
  assert.deepEqual(
    server.seen.map(({ path, body }) => [path, body.image ?? body.background]),
    [
      ["/openai/v1/images/generations", "transparent"],
      ["/openai/v1/images/edits", "data:image/png;base64,AA=="],
      ["/openai/v1/images/edits", ["a", "b"]],
    ],
  );
  assert.ok(server.seen.every(({ headers }) => headers["idempotency-key"]));
});

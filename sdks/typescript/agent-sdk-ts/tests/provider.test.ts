import assert from "node:assert/strict";
import { test } from "node:test";
import { Agent, createJoyTokenProvider, MemoryRunStore, type AgentOptions, type JoyTokenProviderOptions } from "@joytoken/agent-sdk-ts";
import { chunk, completion, fakeGateway } from "./gateway.js";
import { call, recording } from "./model.js";

const SIGNED = { ...call("c1", "t", { a: 1 }), thought_signature: "sig", extra_content: { google: { thought_signature: "deep" } } };
const USAGE = { prompt_tokens: 4, completion_tokens: 2, total_tokens: 6 };
const METADATA = { request_id: "req-1", billing: { credits_used: "0.000600" } };

function agentOf(url: string, provider: JoyTokenProviderOptions = {}, options: Partial<AgentOptions> = {}): Agent {
  const model = createJoyTokenProvider({ apiKey: "jt_test_key", apiBaseUrl: url, ...provider });
  return new Agent({ model, tools: [recording("t", "ok")], ...options });
}

test("chat: the request, the run's headers, and a signature that comes back", async (t) => {
  const gateway = await fakeGateway(t, completion({ tool_calls: [SIGNED] }), completion({ content: "done" }, { usage: USAGE, metadata: METADATA }));
  const agent = agentOf(gateway.url, { model: "stub/a" }, { system: "S", maxTokens: 9, temperature: 0, tier: "economy", toolChoice: "required" });
  const result = await agent.run({ input: "go", run: { id: "r", workflow: "w", budget: "0.5" } });
  const [first, second] = gateway.seen;
  assert.equal(first?.path, "/openai/v1/chat/completions");
  const { messages, tools, ...body } = first!.body;
  assert.deepEqual(body, { model: "stub/a", stream: false, temperature: 0, max_tokens: 9, tool_choice: "required", tier: "economy" });
  assert.deepEqual([messages.length, tools[0].function.name], [2, "t"]);
  assert.deepEqual(
    ["x-joytoken-run-id", "x-joytoken-workflow", "x-joytoken-run-budget", "x-joytoken-step", "idempotency-key", "x-joytoken-on-disconnect"].map((name) => first?.headers[name]),
    ["r", "w", "0.5", "1", "r:1", "stop"],
  );
  assert.deepEqual([second?.headers["x-joytoken-step"], second?.headers["idempotency-key"]], ["2", "r:2"]);
  assert.deepEqual(second?.body.messages.at(-2).tool_calls, [SIGNED]);
  assert.deepEqual([result.finalText, result.requestIds, result.creditsUsed], ["done", ["req-1"], "0.000600"]);
});

test("a call whose answer can be wanted again is finished by the gateway, any other ends with its caller", async (t) => {
  const gateway = await fakeGateway(t, ...Array(4).fill(completion({ content: "x" })));
  await agentOf(gateway.url, {}, { store: new MemoryRunStore() }).run("go");
  await agentOf(gateway.url, { maxRetries: 1 }).run("go");
  await agentOf(gateway.url).run("go");
  await agentOf(gateway.url, { protocol: "anthropic" }).run("go");
  const seen = gateway.seen.map(({ headers }) => headers["x-joytoken-on-disconnect"]);
  assert.deepEqual(seen, ["finish", undefined, "stop", "stop"]);
});

test("a durable call waits for the same call that is under way", async (t) => {
  const underWay = { status: 409, json: { error: { message: "wait", type: "conflict_error", code: "idempotency_in_progress" } } };
  const gateway = await fakeGateway(t, underWay, completion({ content: "x" }), underWay);
  const result = await agentOf(gateway.url, {}, { store: new MemoryRunStore() }).run({ input: "go", run: { id: "r" } });
  assert.deepEqual([result.finalText, gateway.seen.map(({ headers }) => headers["idempotency-key"])], ["x", ["r:1", "r:1"]]);
  await assert.rejects(agentOf(gateway.url).run("go"), { errorCode: "idempotency_in_progress" });
});

test("chat, streamed: texts are told, calls put together", async (t) => {
  const fragments = [
    chunk({ role: "assistant", tool_calls: [{ index: 0, id: "c1", type: "function", function: { name: "t", arguments: "{" } }] }),
    chunk({ tool_calls: [{ index: 0, function: { arguments: "}" } }] }),
  ];
  const texts = [chunk({ content: "a" }), chunk({ content: "b" }), { choices: [], usage: USAGE }, { choices: [], metadata: METADATA }];
  const gateway = await fakeGateway(t, { events: fragments }, { events: texts });
  const told: string[] = [];
  const stream = agentOf(gateway.url).stream("go");
  for await (const event of stream) if (event.type === "text") told.push(event.delta);
  const result = await stream.result;
  assert.deepEqual([told, result.finalText, result.usage.totalTokens, result.requestIds], [["a", "b"], "ab", 6, ["req-1"]]);
  assert.deepEqual([gateway.seen[0]?.body.stream, result.steps[0]?.toolResults[0]?.content], [true, "ok"]);
});

test("check 94: the anthropic protocol sends max_tokens 1024 and keeps signatures", async (t) => {
  const gateway = await fakeGateway(t, completion({ content: "I look.", tool_calls: [SIGNED] }), completion({ content: "done" }, { usage: USAGE, metadata: METADATA }));
  const agent = agentOf(gateway.url, { protocol: "anthropic" }, { system: "S", toolChoice: { type: "function", function: { name: "t" } } });
  const result = await agent.run("go");
  const [first, second] = gateway.seen;
  assert.deepEqual([first?.body.model, first?.body.max_tokens, first?.body.messages[0]], ["auto", 1024, { role: "system", content: "S" }]);
  assert.deepEqual(first?.body.tool_choice, { type: "function", function: { name: "t" } });
  const [assistant, tool] = second!.body.messages.slice(-2);
  assert.deepEqual([assistant.content, tool], ["I look.", { role: "tool", tool_call_id: "c1", content: "ok" }]);
  const [{ thought_signature, extra_content }] = assistant.tool_calls;
  assert.deepEqual([thought_signature, extra_content], ["sig", SIGNED.extra_content]);
  assert.deepEqual([result.finalText, result.usage, result.requestIds], ["done", { promptTokens: 4, completionTokens: 2, totalTokens: 6 }, ["req-1"]]);
});

test("anthropic, streamed", async (t) => {
  const events = [chunk({ role: "assistant", content: "It " }), chunk({ content: "is" }), { choices: [], usage: USAGE }, { choices: [], metadata: METADATA }];
  const calls = [chunk({ tool_calls: [{ index: 0, id: "c1", type: "function", function: { name: "t", arguments: '{"a":1}' } }] })];
  const gateway = await fakeGateway(t, { events: calls }, { events });
  const tool = recording("t", "ok");
  const stream = agentOf(gateway.url, { protocol: "anthropic" }, { tools: [tool] }).stream("go");
  let text = "";
  for await (const event of stream) if (event.type === "text") text += event.delta;
  const result = await stream.result;
  assert.deepEqual([text, result.finalText, tool.ran, result.requestIds], ["It is", "It is", [{ a: 1 }], ["req-1"]]);
});

test("an answer without a message is an error", async (t) => {
  const gateway = await fakeGateway(t, { json: { choices: [] } });
  await assert.rejects(agentOf(gateway.url).run("go"), /JoyToken did not return a chat completion message\./);
});

test("a refusal ends the run with its receipt, and the key shows nowhere", async (t) => {
  const error = { message: "no", type: "insufficient_quota", code: "wallet_empty", param: null, request_id: "req-9" };
  const gateway = await fakeGateway(t, { status: 402, json: { error } });
  const result = await agentOf(gateway.url).run("go");
  assert.deepEqual([result.stoppedBy, result.refusal?.code], ["insufficient_quota:wallet_empty", "insufficient_quota"]);
  assert.ok(!JSON.stringify(result).includes("jt_test_key"));
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { Agent, defineTool, maxCost, maxToolCalls, stepCountIs } from "@joytoken/agent-sdk-ts";
import { call, calls, metadata, recording, says, ScriptedModel } from "./model.js";

test("a run without tools asks once, with an explicit empty list of tools", async () => {
  const model = new ScriptedModel(says("hello"));
  const agent = new Agent({ model, system: "Be brief.", temperature: 0, maxTokens: 9, tier: "economy", metadata: { a: 1 } });
  const result = await agent.run({ messages: [says("before")], input: "hi", metadata: { b: 2 } });
  const [asked] = model.asked;
  assert.deepEqual(
    asked?.messages.map(({ role, content }) => [role, content]),
    [["system", "Be brief."], ["assistant", "before"], ["user", "hi"]],
  );
  assert.deepEqual([asked?.tools, asked?.temperature, asked?.maxTokens, asked?.tier], [[], 0, 9, "economy"]);
  assert.deepEqual(asked?.metadata, { a: 1, b: 2 });
  assert.deepEqual([result.finalText, result.stoppedBy, result.status, result.steps.length], ["hello", undefined, "done", 1]);
});

test("tools are run in order and their results told", async () => {
  const order: string[] = [];
  const slow = defineTool<{ n: number }, string>({
    name: "slow",
    execute: async ({ n }) => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      order.push(`slow ${n}`);
      return "a";
    },
  });
  const fast = defineTool({ name: "fast", execute: () => void order.push("fast") });
  const model = new ScriptedModel(calls(call("1", "slow", { n: 7 }), call("2", "fast", "")), says("ready"));
  const result = await new Agent({ model, tools: [slow, fast] }).run("go");
  assert.deepEqual(order, ["slow 7", "fast"]);
  assert.deepEqual(model.asked[1]?.messages.slice(-2), [
    { role: "tool", tool_call_id: "1", content: "a" },
    { role: "tool", tool_call_id: "2", content: "null" },
  ]);
  assert.deepEqual(result.steps[0]?.toolResults, [
    { toolCallId: "1", toolName: "slow", content: "a" },
    { toolCallId: "2", toolName: "fast", content: "null" },
  ]);
});

test("parallel tools run at once, bounded, and keep the order of the calls", async () => {
  let running = 0;
  let most = 0;
  const tool = defineTool<{ n: number }, number>({
    name: "t",
    execute: async ({ n }) => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 30 - n));
      running -= 1;
      return n;
    },
  });
  const asked = Array.from({ length: 9 }, (_, n) => call(String(n), "t", { n }));
  const options = { tools: [tool], parallelToolCalls: true, toolConcurrency: 3 };
  const result = await new Agent({ model: new ScriptedModel(calls(...asked), says("x")), ...options }).run("go");
  assert.equal(most, 3);
  assert.deepEqual(result.steps[0]?.toolResults.map(({ content }) => content), [..."012345678"]);
});

const FAILURES: [string, ReturnType<typeof call>, string][] = [
  ["an unknown tool", call("1", "nobody"), "Tool not found: nobody"],
  ["a tool that throws", call("1", "bad"), "Tool error: no luck"],
  ["a tool that throws no error", call("1", "worse"), "Tool error: oh"],
  ["a tool that cannot be run", call("1", "empty"), 'Tool error: tool "empty" has no execute function'],
  ["arguments that are no JSON", call("1", "typed", "{"), 'Tool error: invalid arguments: property "city" is missing'],
  ["an argument of another type", call("1", "typed", { city: 1 }), "Tool error: invalid arguments: at .city: it must be of type string"],
];

for (const [name, asked, content] of FAILURES) {
  test(`${name} is told to the model, and the run goes on`, async () => {
    const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
    const tools = [
      { name: "bad", execute: () => Promise.reject(new Error("no luck")) },
      { name: "worse", execute: () => { throw "oh"; } },
      { name: "empty" },
      recording("typed", "", { parameters }),
    ];
    const result = await new Agent({ model: new ScriptedModel(calls(asked), says("so")), tools }).run("go");
    assert.deepEqual(result.steps[0]?.toolResults, [{ toolCallId: "1", toolName: asked.function.name, content, isError: true }]);
    assert.equal(result.finalText, "so");
  });
}

test("a result of more than a mebibyte is cut between two characters, and says so", async () => {
  const tools = [recording("big", "é".repeat(600_000))];
  const result = await new Agent({ model: new ScriptedModel(calls(call("1", "big")), says("")), tools }).run("go");
  const content = result.steps[0]!.toolResults[0]!.content;
  assert.match(content, /é\n\[cut: the result has 1200000 bytes, and 1048576 are told\]$/);
});

test("check 93: eight steps by default, stop conditions, totals and costs", async (t) => {
  const again = () => ({
    message: calls(call("1", "t")),
    usage: { prompt_tokens: 2, completion_tokens: 3, total_tokens: 5, cost: 0.25 },
  });
  const run = (stopWhen: ConstructorParameters<typeof Agent>[0]["stopWhen"], maxSteps?: number) =>
    new Agent({ model: new ScriptedModel(...Array(20).fill(again)), tools: [recording("t")], stopWhen }).run({ input: "go", maxSteps });
  await t.test("steps", async () => {
    const result = await run([]);
    assert.deepEqual([result.stoppedBy, result.steps.length, result.steps[7]?.index], ["step_count:8", 8, 8]);
    assert.deepEqual(result.usage, { promptTokens: 16, completionTokens: 24, totalTokens: 40, cost: 2 });
    assert.equal((await run([], 2)).stoppedBy, "step_count:2");
    assert.equal((await run([stepCountIs(3)])).stoppedBy, "step_count:3");
  });
  await t.test("tool calls", async () => assert.equal((await run([maxToolCalls(2)])).stoppedBy, "max_tool_calls:2"));
  await t.test("cost", async () => {
    assert.equal((await run([maxCost(0.75)])).stoppedBy, "max_cost:0.75");
    const none = await run([maxCost(0)]);
    assert.deepEqual([none.stoppedBy, none.steps.length, none.finalText], ["max_cost:0", 0, ""]);
  });
  await t.test("custom", async () => assert.equal((await run([({ step }) => step > 1])).stoppedBy, "custom"));
});

test("credits are added exactly, and requests are named", async () => {
  const model = new ScriptedModel(
    { message: calls(call("1", "t")), metadata: metadata(1, "0.1") },
    { message: says("x"), metadata: metadata(2, "0.200000001") },
  );
  const result = await new Agent({ model, tools: [recording("t")] }).run("go");
  assert.deepEqual([result.creditsUsed, result.requestIds], ["0.300000001", ["req-1", "req-2"]]);
  assert.equal(result.steps[1]?.metadata?.billing?.credits_used, "0.200000001");
});

test("a forced tool choice is for the first call of a run", async () => {
  const model = new ScriptedModel(calls(call("1", "t")), says("x"));
  await new Agent({ model, tools: [recording("t")], toolChoice: "required" }).run("go");
  assert.deepEqual(model.asked.map(({ toolChoice }) => toolChoice), ["required", "auto"]);
});

test("each call carries the run, its number and a key of its own", async () => {
  const model = new ScriptedModel(calls(call("1", "t")), says("x"));
  const run = { id: "r-1", parentId: "p", workflow: "nightly", budget: "0.5" };
  const result = await new Agent({ model, tools: [recording("t")] }).run({ input: "go", run });
  assert.deepEqual(model.asked.map((asked) => [asked.run, asked.idempotencyKey, asked.durable]), [
    [{ ...run, step: 1 }, "r-1:1", false],
    [{ ...run, step: 2 }, "r-1:2", false],
  ]);
  assert.equal(result.runId, "r-1");
  const other = await new Agent({ model: new ScriptedModel(says("x")) }).run("go");
  assert.match(other.runId, /^run-[0-9a-f]{32}$/);
});

for (const run of [{ id: "a b" }, { id: "" }, { id: "é" }, { id: "x".repeat(129) }, { workflow: "a\r\nX: 1" }, { parentId: " " }, { budget: "much" }]) {
  test(`a run that no header can name is refused: ${JSON.stringify(run).slice(0, 40)}`, async () => {
    const model = new ScriptedModel(says("x"));
    await assert.rejects(new Agent({ model }).run({ input: "go", run }), /run\.(id|workflow|parentId|budget) must be/);
    assert.equal(model.asked.length, 0);
  });
}

test("what the provider throws is thrown", async () => {
  await assert.rejects(new Agent({ model: new ScriptedModel(new Error("away")) }).run("go"), /away/);
});

test("a signal ends a run before its next call, and a tool that is under way", async () => {
  const controller = new AbortController();
  const tool = defineTool({ name: "t", execute: (_, { signal }) => {
    assert.equal(signal?.aborted, false);
    controller.abort(new Error("enough"));
    return new Promise(() => {});
  } });
  const model = new ScriptedModel(calls(call("1", "t")), says("never"));
  await assert.rejects(new Agent({ model, tools: [tool] }).run({ input: "go", signal: controller.signal }), /enough/);
  assert.equal(model.asked.length, 1);
});

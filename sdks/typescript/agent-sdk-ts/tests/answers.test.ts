import assert from "node:assert/strict";
import { test } from "node:test";
import { Agent, maxCost, maxToolCalls, MemoryRunStore, stepCountIs, type ChatMessage } from "@joytoken/agent-sdk-ts";
import { call, calls, recording, says, ScriptedModel } from "./model.js";

/** What a provider may send in the place of tool calls, and what becomes of it. */
const ODD_CALLS: [name: string, given: unknown, told: [id: string, content: string][]][] = [
  ["no list", null, []],
  ["no objects", [null, 1, "call"], []],
  ["a call of nothing", [{}], [["", "Tool not found: "]]],
  ["a function that is a text", [{ id: "1", function: "t" }], [["1", "Tool not found: "]]],
  ["no arguments", [{ id: "1", type: "function", function: { name: "t" } }], [["1", "ran {}"]]],
  ["arguments that are no text", [{ id: "1", function: { name: "t", arguments: { a: 1 } } }], [["1", 'ran {"a":1}']]],
  ["calls without ids", [{ function: { name: "t" } }, { function: { name: "t" } }], [["", "ran {}"], ["", "ran {}"]]],
];

for (const [name, given, told] of ODD_CALLS) {
  test(`an answer with ${name} instead of tool calls is answered, and kept so that it can be resumed`, async () => {
    const odd = { role: "assistant", content: null, tool_calls: given } as unknown as ChatMessage;
    const store = new MemoryRunStore();
    const tools = [{ name: "t", execute: (input: unknown) => `ran ${JSON.stringify(input)}` }];
    const result = await new Agent({ model: new ScriptedModel(odd, says("so")), tools, store }).run({ input: "go", run: { id: "r" } });
    assert.equal(result.status, "done");
    assert.deepEqual(result.steps[0]?.toolResults.map(({ toolCallId, content }) => [toolCallId, content]), told);
    assert.deepEqual(await store.load("r"), result.state);
  });
}

test("an answer without a message is an error, and not kept", async () => {
  const store = new MemoryRunStore();
  const agent = new Agent({ model: new ScriptedModel({} as never), store });
  await assert.rejects(agent.run({ input: "go", run: { id: "r" } }), /the model provider gave no message/);
  assert.equal((await store.load("r"))?.step, 0);
});

test("arguments that are nested too deeply to be kept are refused", async () => {
  const tool = recording("t", "ran", { requiresApproval: true });
  const nested = (depth: number) => `{"a":${"[".repeat(depth)}${"]".repeat(depth)}}`;
  const model = new ScriptedModel(calls(call("1", "t", nested(200_000)), call("2", "t", nested(100))), says("x"));
  const result = await new Agent({ model, tools: [tool], store: new MemoryRunStore() }).run("go");
  assert.deepEqual(result.steps[0]?.toolResults.map(({ content }) => content), ["Tool error: invalid arguments: they are nested too deeply"]);
  assert.deepEqual(result.pending.map(({ tool_call_id }) => tool_call_id), ["2"]);
});

test("tokens that are no numbers count nothing", async () => {
  const usage = { prompt_tokens: "3", completion_tokens: null, total_tokens: 2, cost: "1" } as never;
  const result = await new Agent({ model: new ScriptedModel({ message: says("x"), usage }) }).run("go");
  assert.deepEqual(result.usage, { promptTokens: 0, completionTokens: 0, totalTokens: 2 });
});

test("a bound that is no number stops at once", async () => {
  for (const stopWhen of [stepCountIs(NaN), maxToolCalls(NaN), maxCost(NaN)]) {
    const model = new ScriptedModel(says("x"));
    const { stoppedBy } = await new Agent({ model, stopWhen: [stopWhen] }).run("go");
    assert.match(stoppedBy ?? "", /^(step_count|max_tool_calls|max_cost):NaN$/);
  }
  assert.equal((await new Agent({ model: new ScriptedModel() }).run({ input: "go", maxSteps: NaN })).stoppedBy, "step_count:NaN");
});

for (const toolConcurrency of [NaN, 0, -1, 1.5, Infinity]) {
  test(`each tool is run where ${toolConcurrency} may be run at once`, async () => {
    const tool = recording("t");
    const model = new ScriptedModel(calls(call("1", "t"), call("2", "t")), says("x"));
    await new Agent({ model, tools: [tool], parallelToolCalls: true, toolConcurrency }).run("go");
    assert.equal(tool.ran.length, 2);
  });
}

test("a budget is a text, also where no compiler says so", async () => {
  const run = new Agent({ model: new ScriptedModel() }).run({ input: "go", run: { budget: 0.5 as never } });
  await assert.rejects(run, /run\.budget must be a decimal text of credits with at most 9 decimals, such as "0\.5"/);
});

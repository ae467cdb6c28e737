import assert from "node:assert/strict";
import { test } from "node:test";
import { Agent, MemoryRunStore } from "@joytoken/agent-sdk-ts";
import { timeout, Toolkit } from "@joytoken/agent-sdk-ts/toolkit";
import { call, calls, metadata, recording, says, ScriptedModel } from "./model.js";

const pay = () => recording("pay", "paid", { requiresApproval: true });

test("a tool that needs an approval pauses the run, after the others of its turn have run", async () => {
  const look = recording("look");
  const tool = pay();
  const model = new ScriptedModel(calls(call("1", "pay", { euro: 3 }), call("2", "look")), says("done"));
  const agent = new Agent({ model, tools: [tool, look], store: new MemoryRunStore() });
  const paused = await agent.run({ input: "go", run: { id: "r" } });
  assert.deepEqual([paused.status, paused.stoppedBy, tool.ran.length, look.ran.length], ["pending", "approval", 0, 1]);
  assert.deepEqual(paused.pending, [{ tool_call_id: "1", tool_name: "pay", input: { euro: 3 } }]);
  assert.equal((await agent.resume("r")).status, "pending");
  const result = await agent.resume("r", { decisions: { 1: true } });
  assert.deepEqual([result.status, result.finalText, tool.ran], ["done", "done", [{ euro: 3 }]]);
  assert.deepEqual(result.steps[0]?.toolResults.map(({ toolName, content }) => [toolName, content]), [
    ["pay", "paid"],
    ["look", "done"],
  ]);
  assert.deepEqual(result.messages.slice(-3, -1).map(({ tool_call_id }) => tool_call_id), ["1", "2"]);
});

for (const [decision, content] of [
  [false, "Tool call rejected: not approved"],
  [{ approved: false, reason: "too dear" }, "Tool call rejected: too dear"],
] as const) {
  test(`a refused call is told to the model: ${content}`, async () => {
    const tool = pay();
    const model = new ScriptedModel(calls(call("1", "pay")), says("well"));
    const agent = new Agent({ model, tools: [tool] });
    const { state } = await agent.run("go");
    const result = await agent.resume(structuredClone(state), { decisions: { 1: decision } });
    assert.deepEqual(result.steps[0]?.toolResults, [{ toolCallId: "1", toolName: "pay", content, isError: true }]);
    assert.equal(tool.ran.length, 0);
  });
}

for (const odd of [null, "no", "false", 1, {}, { approved: "false" }, []] as never[]) {
  test(`what is no plain yes is none, also where no compiler says so: ${JSON.stringify(odd)}`, async () => {
    const tool = pay();
    const agent = new Agent({ model: new ScriptedModel(calls(call("1", "pay")), says("x")), tools: [tool] });
    const { state } = await agent.run("go");
    const result = await agent.resume(state, { decisions: { 1: odd } });
    assert.deepEqual([result.status, tool.ran.length], [odd === null ? "pending" : "done", 0]);
    const asking = { ...pay(), requiresApproval: (odd ?? (() => undefined)) as never };
    const asked = await new Agent({ model: new ScriptedModel(calls(call("1", "pay"))), tools: [asking] }).run("go");
    assert.equal(asked.status, "pending");
  });
}

test("an approval can depend on the input, and one that throws asks", async () => {
  const dear = recording("pay", "paid", { requiresApproval: (input) => (input as { euro: number }).euro > 10 });
  const odd = recording("odd", "", { requiresApproval: () => { throw new Error(); } });
  const model = new ScriptedModel(calls(call("1", "pay", { euro: 5 }), call("2", "pay", { euro: 50 }), call("3", "odd")));
  const result = await new Agent({ model, tools: [dear, odd] }).run("go");
  assert.deepEqual(dear.ran, [{ euro: 5 }]);
  assert.deepEqual(result.pending.map(({ tool_call_id }) => tool_call_id), ["2", "3"]);
});

test("a decision is used up by the call that waited for it, also where ids come again", async () => {
  const tool = pay();
  const model = new ScriptedModel(calls(call("1", "pay")), calls(call("1", "pay")), says("x"));
  const agent = new Agent({ model, tools: [tool] });
  const { state } = await agent.run("go");
  const result = await agent.resume(state, { decisions: { 1: true } });
  assert.deepEqual([result.status, tool.ran.length, model.asked.length], ["pending", 1, 2]);
});

test("decisions of calls that are not there change nothing, also of the prototype", async () => {
  const model = new ScriptedModel(calls(call("toString", "pay")), says("x"));
  const agent = new Agent({ model, tools: [pay()] });
  const { state } = await agent.run("go");
  assert.equal((await agent.resume(state, { decisions: { other: true } })).status, "pending");
});

test("a sub-agent is a child run that drains and counts for its parent", async () => {
  const inner = new ScriptedModel({ message: says("42"), metadata: metadata(2, "0.5"), usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } });
  const expert = new Agent({ model: inner, system: "You know." }).asTool({ name: "expert", description: "Knows" });
  const model = new ScriptedModel(
    { message: calls(call("c1", "expert", { input: "What?" })), metadata: metadata(1, "0.25") },
    says("It is 42."),
  );
  const run = { id: "r", workflow: "w" };
  const result = await new Agent({ model, tools: [expert] }).run({ input: "go", run });
  assert.deepEqual(inner.asked[0]?.run, { id: "r.c1", parentId: "r", workflow: "w", step: 1 });
  assert.deepEqual(inner.asked[0]?.messages.map(({ content }) => content), ["You know.", "What?"]);
  assert.deepEqual([result.creditsUsed, result.usage.totalTokens, result.steps[0]?.toolResults[0]?.content], ["0.750000", 2, "42"]);
});

test("what a sub-agent paid counts where it fails and where it is given up, too", async () => {
  const paid = (credits: string) => ({ message: calls(call("t", "wait")), metadata: metadata(2, credits) });
  const failing = new Agent({ model: new ScriptedModel(paid("0.5"), new Error("away")), tools: [recording("wait")] });
  const never = { name: "wait", execute: () => new Promise(() => {}) };
  const slow = new Agent({ model: new ScriptedModel(paid("0.125")), tools: [never] });
  const given = new Toolkit({ middleware: [timeout(20)] }).register(failing.asTool({ name: "failing" }), slow.asTool({ name: "slow" }));
  const model = new ScriptedModel(calls(call("1", "failing", { input: "x" }), call("2", "slow", { input: "x" })), says("so"));
  const result = await new Agent({ model, tools: given.tools() }).run("go");
  const told = ["Tool error: away", 'Tool error: tool "slow" timed out after 20ms'];
  assert.deepEqual(result.steps[0]?.toolResults.map(({ content }) => content), told);
  assert.equal(result.creditsUsed, "0.625000");
});

test("a sub-agent's approval is its parent's", async () => {
  const tool = pay();
  const store = new MemoryRunStore();
  const inner = new ScriptedModel(calls(call("p", "pay")), { message: says("paid it"), metadata: metadata(1, "1") });
  const clerk = new Agent({ model: inner, tools: [tool] }).asTool({ name: "clerk" });
  const model = new ScriptedModel(calls(call("c", "clerk", { input: "Pay." })), says("All paid."));
  const agent = new Agent({ model, tools: [clerk], store });
  const paused = await agent.run({ input: "go", run: { id: "r" } });
  assert.deepEqual(paused.pending, [{ tool_call_id: "c/p", tool_name: "pay", input: {} }]);
  assert.equal((await store.load("r.c"))?.status, "pending");
  const result = await agent.resume("r", { decisions: { "c/p": true } });
  assert.deepEqual([result.finalText, result.creditsUsed, tool.ran.length], ["All paid.", "1.000000", 1]);
});

test("a sub-agent's approval without a store is an error that says so", async () => {
  const clerk = new Agent({ model: new ScriptedModel(calls(call("p", "pay"))), tools: [pay()] }).asTool({ name: "clerk" });
  const model = new ScriptedModel(calls(call("c", "clerk", { input: "Pay." })), says("x"));
  const result = await new Agent({ model, tools: [clerk] }).run("go");
  assert.match(result.steps[0]!.toolResults[0]!.content, /agent clerk: it waits for an approval of "pay", which needs a store/);
});

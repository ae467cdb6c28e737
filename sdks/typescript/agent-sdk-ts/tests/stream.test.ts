import assert from "node:assert/strict";
import { test } from "node:test";
import { Agent, MemoryRunStore, type AgentEvent } from "@joytoken/agent-sdk-ts";
import { call, calls, recording, says, ScriptedModel } from "./model.js";

const streamed = (...texts: string[]) => (request: { onText?: ((delta: string) => void) | undefined }) => {
  for (const text of texts) request.onText?.(text);
  return { message: says(texts.join("")) };
};

async function all(events: AsyncIterable<AgentEvent>): Promise<AgentEvent[]> {
  const found: AgentEvent[] = [];
  for await (const event of events) found.push(event);
  return found;
}

test("a run is told as it goes on", async () => {
  const model = new ScriptedModel(calls(call("1", "t", { a: 1 })), streamed("It ", "is", "", "."));
  const stream = new Agent({ model, tools: [recording("t")] }).stream("go");
  const events = await all(stream);
  assert.deepEqual(events.map((event) => (event.type === "text" ? event.delta : event.type)), [
    ...["tool_call", "tool_result", "step", "It ", "is", ".", "step", "done"],
  ]);
  const [asked, result, step] = events as any[];
  assert.deepEqual([asked.toolCall.id, result.result.content, step.step.toolResults.length], ["1", "done", 1]);
  assert.equal((events.at(-1) as any).result, await stream.result);
});

test("a model that does not stream has its text told whole", async () => {
  const events = await all(new Agent({ model: new ScriptedModel(says("whole")) }).stream("go"));
  assert.deepEqual(events[0], { type: "text", delta: "whole" });
});

test("a pause is told, and a streamed run is resumed streamed", async () => {
  const model = new ScriptedModel(calls(call("1", "pay")), streamed("a", "b"));
  const agent = new Agent({ model, tools: [recording("pay", "", { requiresApproval: true })], store: new MemoryRunStore() });
  const events = await all(agent.stream({ input: "go", run: { id: "r" } }));
  assert.deepEqual(events.map(({ type }) => type), ["tool_call", "pending", "done"]);
  const rest = await all(agent.resumeStream("r", { decisions: { 1: true } }));
  assert.deepEqual(rest.map(({ type }) => type), ["tool_result", "step", "text", "text", "step", "done"]);
});

test("the result can be awaited without reading the events", async () => {
  assert.equal((await new Agent({ model: new ScriptedModel(says("x")) }).stream("go").result).finalText, "x");
});

test("a failure is thrown to who reads the events and to who awaits the result", async () => {
  const stream = new Agent({ model: new ScriptedModel(new Error("away")) }).stream("go");
  await assert.rejects(all(stream), /away/);
  await assert.rejects(stream.result, /away/);
});

test("leaving the loop ends the run and the call that is under way", async () => {
  let ended: unknown;
  const model = new ScriptedModel(({ signal, onText }) => {
    onText?.("a");
    return new Promise((_, reject) => signal?.addEventListener("abort", () => reject((ended = signal.reason))));
  });
  const stream = new Agent({ model }).stream("go");
  for await (const event of stream) if (event.type === "text") break;
  await assert.rejects(stream.result, /not read any more/);
  assert.match(String(ended), /not read any more/);
});

test("a signal ends a stream, also one that has ended already", async () => {
  const controller = new AbortController();
  controller.abort(new Error("enough"));
  const model = new ScriptedModel(says("x"));
  await assert.rejects(all(new Agent({ model }).stream({ input: "go", signal: controller.signal })), /enough/);
  assert.equal(model.asked.length, 0);
});

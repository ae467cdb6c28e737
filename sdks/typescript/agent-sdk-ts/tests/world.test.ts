import assert from "node:assert/strict";
import { test } from "node:test";
import { JoyTokenClient } from "@joytoken/client-sdk-ts";
import { Agent, createJoyTokenProvider, MemoryRunStore, object, outputOf, string, type AgentOptions } from "@joytoken/agent-sdk-ts";
import { recording } from "./model.js";

// A real gateway, where `python -m tests.sdk.world` has started one; without it the other tests have to do.
const { JOYTOKEN_TEST_URL: url, JOYTOKEN_TEST_STUB_URL: stub } = process.env;

function key(name: string): string {
  return process.env[`JOYTOKEN_TEST_${name}`] ?? "";
}

/** An agent on the built-in model, which calls the tool that is forced and then says what that returned. */
function echo(apiKey: string, options: Partial<AgentOptions> = {}): Agent {
  const model = createJoyTokenProvider({ apiKey, apiBaseUrl: url, model: "echo" });
  return new Agent({ model, tools: [recording("get_weather", "It is sunny.")], toolChoice: "required", ...options });
}

async function callsOf(model: string): Promise<{ cancelled: boolean }[]> {
  const { calls } = (await (await fetch(`${stub}/_calls?model=${model}`)).json()) as { calls: { cancelled: boolean }[] };
  return calls;
}

/** Look again and again for what is to come soon. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let look = 0; look < 200; look += 1) {
    if (await holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail("it did not come about");
}

if (url !== undefined) {
  const client = new JoyTokenClient({ apiBaseUrl: url, apiKey: key("KEY") });

  test("a run on a real gateway: each step on a receipt, and the whole on one tree", async () => {
    const result = await echo(key("KEY")).run({ input: "The weather?", run: { workflow: "weather" } });
    assert.deepEqual([result.finalText, result.steps.length, result.requestIds.length], ["It is sunny.", 2, 2]);
    assert.notEqual(result.creditsUsed, "0");
    const receipts = await Promise.all(result.requestIds.map((id) => client.receipts.retrieve(id)));
    assert.deepEqual(receipts.map(({ request }) => [request["run"], request["workflow"], request["step"]]), [
      [result.runId, "weather", "1"],
      [result.runId, "weather", "2"],
    ]);
    const tree = await client.runs.retrieve(result.runId);
    assert.deepEqual([tree.runs.length, tree.requests.map(({ step }) => step)], [1, ["1", "2"]]);
  });

  test("a stream on a real gateway", async () => {
    let text = "";
    const stream = echo(key("KEY")).stream("The weather?");
    for await (const event of stream) if (event.type === "text") text += event.delta;
    assert.deepEqual([text, (await stream.result).requestIds.length], ["It is sunny.", 2]);
  });

  test("a sub-agent's run is below its parent's", async () => {
    const expert = echo(key("KEY"), { tools: [], toolChoice: undefined }).asTool({ name: "expert" });
    const result = await echo(key("KEY"), { tools: [expert] }).run("Ask.");
    const tree = await client.runs.retrieve(result.runId);
    assert.deepEqual(tree.runs.map(({ depth }) => depth), [0, 1]);
    assert.equal(tree.runs[1]?.parent, result.runId);
  });

  test("an empty wallet and a tier that is not allowed end a run cleanly", async () => {
    const [empty, economy] = await Promise.all([echo(key("EMPTY_KEY")).run("Go."), echo(key("ECONOMY_KEY")).run("Go.")]);
    assert.deepEqual([empty.stoppedBy, empty.status], ["insufficient_quota:wallet_empty", "stopped"]);
    assert.equal(economy.stoppedBy, "policy_rejected:tier_not_allowed");
  });

  test("a run is held to its budget by the gateway", async () => {
    const result = await echo(key("RUN_KEY")).run({ input: "Go.", run: { budget: "0.000001" } });
    assert.match(result.stoppedBy ?? "", /^insufficient_quota:/);
    assert.equal(result.refusal?.status, 402);
  });

  test("an answer that was paid before a crash is given again, and not paid again", async () => {
    const store = new MemoryRunStore();
    const agent = echo(key("KEY"), { store });
    const first = await agent.run({ input: "Go.", run: { id: `replay-${Date.now()}` } });
    const before = structuredClone(first.state);
    Object.assign(before, { step: 1, steps: before.steps.slice(0, 1), status: "running", final_text: "" });
    before.messages.pop();
    const again = await agent.resume(before);
    assert.deepEqual([again.finalText, again.requestIds], [first.finalText, first.requestIds]);
    assert.equal((await client.runs.retrieve(first.runId)).requests.length, 2);
  });

  test("structured output on a real gateway", async () => {
    const output = outputOf("place", object({ city: string() }));
    const result = await echo(key("KEY"), { tools: [], toolChoice: undefined, output }).run("Where?");
    assert.equal(typeof (result.output as { city: string }).city, "string");
  });

  test("a run that is left ends the call at the provider", async () => {
    const script = { model: "stub/p", answers: [{ events: Array(400).fill({ choices: [{ index: 0, delta: { content: "word " } }] }), pause_ms: 50 }] };
    await fetch(`${stub}/_script`, { method: "POST", body: JSON.stringify(script) });
    const model = createJoyTokenProvider({ apiKey: key("KEY"), apiBaseUrl: url, model: "stub/p" });
    let texts = 0;
    for await (const event of new Agent({ model }).stream("Go.")) if (event.type === "text" && ++texts === 2) break;
    await until(async () => (await callsOf("stub/p")).some(({ cancelled }) => cancelled));
  });

  test("a run that is ended by its signal ends the call at the provider", async () => {
    const script = { model: "stub/o", answers: [{ delay_ms: 60_000, json: {} }] };
    await fetch(`${stub}/_script`, { method: "POST", body: JSON.stringify(script) });
    const model = createJoyTokenProvider({ apiKey: key("KEY"), apiBaseUrl: url, model: "stub/o" });
    const controller = new AbortController();
    const run = new Agent({ model }).run({ input: "Go.", signal: controller.signal });
    run.catch(() => {});
    await until(async () => (await callsOf("stub/o")).length === 1);
    controller.abort(new Error("enough"));
    await assert.rejects(run, /enough/);
    await until(async () => (await callsOf("stub/o")).every(({ cancelled }) => cancelled));
  });
}

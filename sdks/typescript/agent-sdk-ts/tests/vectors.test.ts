import assert from "node:assert/strict";
import { test } from "node:test";
import { JoyTokenAPIError } from "@joytoken/client-sdk-ts";
import {
  Agent,
  encodeRunState,
  maxCost,
  maxCredits,
  maxToolCalls,
  MemoryRunStore,
  parseRunState,
  stepCountIs,
  type StopCondition,
} from "@joytoken/agent-sdk-ts";
import { addCredits, parseCredits } from "../dist/credits.js";
import { callKey, childRunId } from "../dist/identity.js";
import { misfitOf } from "../dist/schema-check.js";
import { addUsage, newRunState } from "../dist/state.js";
import { recording, says, ScriptedModel } from "./model.js";
import { eachVector } from "./vectors.js";

eachVector("child-run-ids", async ({ parent, tool_call_id }, expect) => {
  assert.equal(await childRunId(parent, tool_call_id), expect);
});

eachVector("idempotency-keys", ({ run, call }, expect) => {
  if (run !== undefined) assert.equal(callKey(run, call), expect); // those of loops are the client's
});

eachVector("credits", (credits, expect) => {
  assert.equal(parseCredits(credits.reduce(addCredits, "0")), parseCredits(expect));
});

eachVector("schema-checks", ({ schema, value }, expect) => {
  assert.equal(misfitOf(schema, value) === undefined, expect);
});

eachVector("stop-conditions", ({ condition, state }, expect) => {
  const [[name, bound]] = Object.entries<any>(condition) as [[string, any]];
  const makers: Record<string, (bound: any) => StopCondition> = {
    step_count_is: stepCountIs,
    max_tool_calls: maxToolCalls,
    max_cost: maxCost,
    max_credits: maxCredits,
  };
  const made = makers[name]!;
  const usage = { promptTokens: 0, completionTokens: 0, totalTokens: 0, cost: state.cost ?? undefined };
  const seen = { step: state.step, toolCalls: state.tool_calls, usage, messages: [], creditsUsed: state.credits_used };
  const decision = made(bound)(seen) as { stop: boolean; reason: string };
  assert.equal(decision.stop, expect.stop);
  if (expect.stop) assert.equal(decision.reason, expect.reason);
});

eachVector("usage-totals", (usages, expect) => {
  const { usage } = newRunState({ id: "r", parent_id: null, workflow: null, budget: null }, []);
  for (const one of usages) addUsage(usage, one);
  assert.deepEqual(usage, expect);
});

eachVector("refusals", async ({ status, error }, expect) => {
  const failure = new JoyTokenAPIError(error.message, {
    status,
    code: "unknown",
    responseHeaders: new Headers(),
    body: { error },
  });
  const run = new Agent({ model: new ScriptedModel(failure) }).run("go");
  if (expect === null) return assert.rejects(run, failure);
  const result = await run;
  assert.deepEqual([result.stoppedBy, result.status, result.refusal], [expect, "stopped", failure]);
});

eachVector("agent-states", async (state, { next, key, tools, pending }) => {
  assert.deepEqual(JSON.parse(encodeRunState(parseRunState(JSON.stringify(state)))), state);
  assert.deepEqual(state.pending.map((call: any) => call.tool_call_id), pending);
  if (next === null) return; // each language's own affair
  const names = new Set<string>(state.steps.flatMap((step: any) => (step.assistant_message.tool_calls ?? []).map((one: any) => one.function.name)));
  const waits = new Set(state.pending.map((call: any) => call.tool_name));
  const ran: string[] = [];
  const agentTools = [...names].map((name) => ({
    ...recording(name),
    requiresApproval: waits.has(name),
    execute: (_: unknown, { toolCall }: any) => void ran.push(toolCall.id),
  }));
  const model = new ScriptedModel(says("the end"));
  const agent = new Agent({ model, tools: agentTools, store: new MemoryRunStore() });
  const result = await agent.resume(state, { maxSteps: 99 });
  if (next === "nothing") return assert.deepEqual([model.asked.length, ran.length], [0, 0]);
  if (next === "decision") return assert.deepEqual([result.status, model.asked.length], ["pending", 0]);
  assert.deepEqual(ran, next === "tools" ? tools : []);
  if (key !== null) assert.equal(model.asked[0]?.idempotencyKey, key);
});

eachVector("agent-states-broken", async (state) => {
  assert.throws(() => parseRunState(state), Error);
  await assert.rejects(new Agent({ model: new ScriptedModel(says("x")) }).resume(state), Error);
});

test("a state is copied when it is read", () => {
  const state = newRunState({ id: "r", parent_id: null, workflow: null, budget: null }, []);
  parseRunState(state).messages.push({ role: "user", content: "more" });
  assert.equal(state.messages.length, 0);
});

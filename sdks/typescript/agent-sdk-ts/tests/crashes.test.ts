import assert from "node:assert/strict";
import { test } from "node:test";
import { Agent, MemoryRunStore, type AgentResult, type ChatMessage, type ModelProvider, type RunStore } from "@joytoken/agent-sdk-ts";
import { call, calls, metadata, recording, says } from "./model.js";

/** The answers by the keys of their calls: two sub-agents at once, each with a payment that waits for a decision. */
const ANSWERS: Record<string, ChatMessage> = {
  "r:1": calls(call("a", "clerk", { input: "one" }), call("b", "clerk", { input: "two" }), call("c", "look")),
  "r.a:1": calls(call("p", "pay")),
  "r.b:1": calls(call("p", "pay")),
  "r.a:2": says("A"),
  "r.b:2": says("B"),
  "r:2": says("the end"),
};
const DECISIONS = { "a/p": true, "b/p": false };

/** What outlives each process: the states, and what the gateway was asked and paid under each key. */
class Lasting {
  readonly states = new MemoryRunStore();
  readonly asked = new Map<string, string>();
}

/** A process that dies at one of its moments: nothing that it waits for comes any more. */
class Process {
  readonly died: Promise<"died">;
  #die: (how: "died") => void = () => {};
  #moments: number;

  constructor(moments: number) {
    this.#moments = moments;
    this.died = new Promise((resolve) => (this.#die = resolve));
  }

  async moment(): Promise<void> {
    this.#moments -= 1;
    if (this.#moments > 0) return;
    this.#die("died");
    await new Promise(() => {});
  }

  run({ states, asked }: Lasting, id: string): Promise<AgentResult | "died"> {
    const store: RunStore = {
      load: (runId) => states.load(runId),
      save: async (state) => {
        await this.moment();
        await states.save(state);
        await this.moment();
      },
    };
    const model: ModelProvider = {
      complete: async ({ idempotencyKey = "", messages, tools }) => {
        await this.moment();
        const body = JSON.stringify([messages, tools]);
        assert.equal(asked.get(idempotencyKey) ?? body, body, "the same call is made again");
        asked.set(idempotencyKey, body);
        await this.moment();
        return { message: structuredClone(ANSWERS[idempotencyKey]!), metadata: metadata(1, "0.100000001") };
      },
    };
    const clerk = new Agent({ model, tools: [recording("pay", "paid", { requiresApproval: true })] }).asTool({ name: "clerk" });
    const agent = new Agent({ model, store, tools: [clerk, recording("look", "seen")], parallelToolCalls: true });
    const run = async (): Promise<AgentResult> =>
      (await states.load(id)) === undefined
        ? agent.run({ input: "go", run: { id } })
        : agent.resume(id, { decisions: DECISIONS });
    return Promise.race([run(), this.died]);
  }
}

test("wherever its processes die, a run with sub-agents comes to the same end, and pays each call once", async () => {
  let deaths = 0;
  for (let moments = 1; moments < 60; moments += 1) {
    const lasting = new Lasting();
    let result: AgentResult | "died" = "died";
    for (let processes = 0; result === "died" || result.status === "pending"; processes += 1) {
      assert.ok(processes < 60, "it comes to an end");
      // Each process gets a little further than the one before it, so that all of them together can come to the end.
      result = await new Process(moments + processes).run(lasting, "r");
      if (result === "died") deaths += 1;
    }
    const told = result.steps[0]?.toolResults.map(({ content }) => content);
    assert.deepEqual([result.finalText, result.creditsUsed, told], ["the end", "0.600000006", ["A", "B", "seen"]]);
    assert.deepEqual([...lasting.asked.keys()].sort(), Object.keys(ANSWERS).sort());
  }
  assert.ok(deaths > 60, `${deaths} deaths`);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  callMetadata,
  JoyTokenAPIError,
  JoyTokenClient,
  type JoyTokenClientOptions,
  type ResponseHead,
} from "@joytoken/client-sdk-ts";
import { chunk, collect, failure, toolCall } from "./fake-server.js";
import { eventually, openHolds, stubCalls, stubModel, worldUrl } from "./world.js";

// A real gateway: `python -m tests.sdk.world -- npm test`, in the root of the clone, starts one. Without it there is
// nothing that these tests could talk to.
const url = worldUrl();
const MODEL = "stub/c";
const ask = (content: string, model = "echo/echo") => ({
  model,
  messages: [{ role: "user" as const, content }],
  tools: [],
});

function clientOf(variable: string, options: JoyTokenClientOptions = {}): JoyTokenClient {
  return new JoyTokenClient({ apiKey: process.env[variable], apiBaseUrl: url, ...options });
}

const whole = (content: string): object => ({
  json: {
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1,
    model: "m",
    choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }],
    usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 },
  },
});

if (url !== undefined) {
  const client = clientOf("JOYTOKEN_TEST_KEY");

  test("16 to 20, 25, 26. a chat, its metadata and its heads", async () => {
    const heads: ResponseHead[] = [];
    const answer = await client.chat.completions.create(ask("Hello!", "auto"), {
      onResponse: (head) => heads.push(head),
    });
    assert.equal(answer.object, "chat.completion");
    assert.ok(answer.id && answer.created && answer.model);
    assert.equal(answer.choices[0]?.message.content, "Hello!");
    const metadata = callMetadata(answer);
    assert.match(metadata?.request_id ?? "", /^req-[0-9a-f]{32}$/);
    assert.equal(heads[0]?.headers.get("x-daoe-used-model"), "echo/echo");
    assert.equal(heads[0]?.headers.get("x-daoe-used-provider"), metadata?.provider);
    assert.match(metadata?.billing?.credits_used ?? "", /^\d+\.\d{6,9}$/);
    assert.equal(typeof metadata?.billing?.input_tokens, "number");
    assert.equal(typeof metadata?.latency?.total_ms, "number");
    const headers = { "X-Request-ID": "mine-1" };
    await client.chat.completions.create(ask("Hello!"), { headers, onResponse: (head) => heads.push(head) });
    assert.equal(heads[1]?.requestId, "mine-1");
    assert.equal(heads[1]?.headers.get("x-daoe-request-id"), "mine-1");
  });

  test("27. a model that nobody serves is an error", async () => {
    const error = await failure(client.chat.completions.create(ask("hi", "stub/nobody")));
    assert.ok(error instanceof JoyTokenAPIError);
    assert.ok(["not_found", "permission"].includes(error.code), error.code);
    assert.match(error.requestId ?? "", /^req-/);
  });

  test("14, 28 to 31. what the caller and the provider say reaches the other unchanged", async () => {
    const signed = { extra_content: { google: { thought_signature: "s1" } }, thought_signature: "s2" };
    const call = toolCall("call_1", "weather", { city: "Ulm" }, signed);
    const wants: any = whole("");
    wants.json.choices[0] = {
      index: 0,
      message: { role: "assistant", content: null, tool_calls: [call] },
      finish_reason: "tool_calls",
    };
    await stubModel(MODEL, wants, whole("blue"));
    const tools = [{ name: "weather", execute: () => "blue" }];
    const request = { model: MODEL, messages: [{ role: "user" as const, content: "weather?" }] };
    const sent = { temperature: 0.5, top_p: 0.9, max_tokens: 50, stop: ["END"], parallel_tool_calls: false, seed: 7 };
    const answer = await clientOf("JOYTOKEN_TEST_KEY", { tools }).chat.completions.run({ ...request, ...sent });
    assert.equal(answer.choices[0]?.message.content, "blue");
    const [first, second] = await stubCalls(MODEL);
    for (const [field, value] of Object.entries(sent)) assert.deepEqual(first?.body[field], value, field);
    assert.deepEqual(second?.body.messages[1].tool_calls, [call]);
    assert.equal(second?.body.messages[2].tool_call_id, "call_1");
  });

  test("33 to 38. a stream: text, then usage, then metadata", async () => {
    const chunks = await collect(client.chat.completions.stream(ask("a stream of some words")));
    assert.equal(chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join(""), "a stream of some words");
    assert.ok(chunks.every(({ object }) => object === "chat.completion.chunk"));
    const usage = chunks.find((one) => one.usage);
    assert.deepEqual(usage?.choices, []);
    const last = chunks.at(-1);
    assert.deepEqual(last?.choices, []);
    assert.equal(callMetadata(last)?.billing?.output_tokens, usage?.usage?.completion_tokens);
    assert.equal(typeof callMetadata(last)?.latency?.first_token_ms, "number");
    assert.equal(callMetadata(last)?.billing?.ending, "completed");
  });

  test("streamed runs and messages speak with the real gateway, too", async () => {
    const deltas: string[] = [];
    const answer = await client.chat.completions.runStream(ask("one two"), {
      onTextDelta: (delta) => deltas.push(delta),
    });
    assert.equal(answer.choices[0]?.message.content, "one two");
    assert.equal(deltas.join(""), "one two");
    assert.ok(callMetadata(answer)?.request_id);
    const message = {
      model: "echo/echo",
      max_tokens: 50,
      messages: [{ role: "user" as const, content: "three" }],
      tools: [],
    };
    const got = await client.messages.create(message);
    assert.deepEqual([got.content, got.stop_reason], [[{ type: "text", text: "three" }], "end_turn"]);
    assert.ok(got.usage.input_tokens > 0 && callMetadata(got)?.billing?.credits_used);
    const types = (await collect(client.messages.stream(message))).map(({ type }) => type);
    assert.deepEqual([types[0], types.at(-1)], ["message_start", "message_stop"]);
  });

  test("40. a stream that is left ends at the provider, and holds nothing within a second", async () => {
    const model = "stub/d";
    for (const leave of ["break", "abort"] as const) {
      await stubModel(model, { events: [chunk({ content: "word " })], end: "hang" });
      const caller = new AbortController();
      let id = "";
      const options = { signal: caller.signal, onResponse: ({ requestId = "" }) => void (id = requestId) };
      const left = await leftAt(client.chat.completions.stream(ask("hi", model), options), async () => {
        assert.ok((await openHolds()) > 0, "something is held while the stream is under way");
        if (leave === "abort") caller.abort(new Error("enough"));
        return leave === "break";
      });
      await eventually("nothing is held", async () => (await openHolds()) === 0);
      await eventually("the provider's call is cancelled", async () => (await stubCalls(model))[0]?.cancelled);
      assert.equal((await stubCalls(model)).length, 1);
      const receipt = await eventually("the receipt is there", () =>
        client.receipts.retrieve(id).catch(() => undefined),
      );
      assert.equal(receipt.ending.name, "client_gone");
      // Other tests may hold something at the same time; when this hold ended is on its receipt.
      assert.ok(Date.parse(receipt.request.finished_at) - left <= 1000, receipt.request.finished_at);
    }
  });

  test("an idempotency key is paid once, and its answer is the same", async () => {
    await stubModel("stub/e", whole("first"), whole("second"));
    const heads: ResponseHead[] = [];
    const options = { idempotencyKey: `order-${Date.now()}`, onResponse: (head: ResponseHead) => heads.push(head) };
    const first = await client.chat.completions.create(ask("buy", "stub/e"), options);
    const again = await client.chat.completions.create(ask("buy", "stub/e"), options);
    assert.deepEqual(again, first);
    assert.equal(heads[1]?.headers.get("idempotent-replayed"), "true");
    assert.equal((await stubCalls("stub/e")).length, 1);
    const error = await failure(client.chat.completions.create(ask("other", "stub/e"), options));
    assert.deepEqual([error.code, error.errorCode], ["invalid_request", "idempotency_key_reused"]);
  });

  test("refusals have the gateway's own words", async () => {
    const empty = await failure(clientOf("JOYTOKEN_TEST_EMPTY_KEY").chat.completions.create(ask("hi")));
    assert.deepEqual([empty.status, empty.code, empty.errorCode], [402, "insufficient_quota", "wallet_empty"]);
    const economy = await failure(clientOf("JOYTOKEN_TEST_ECONOMY_KEY").chat.completions.create(ask("hi")));
    assert.deepEqual(
      [economy.code, economy.errorType, economy.errorCode],
      ["permission", "policy_rejected", "tier_not_allowed"],
    );
    const unknown = new JoyTokenClient({ apiKey: "jt_live_of_nobody_at_all", apiBaseUrl: url });
    const nobody = await failure(unknown.chat.completions.create(ask("hi")));
    assert.equal(nobody.errorCode, "invalid_api_key");
  });

  test("the catalog, prices, receipts, the key and a run", async () => {
    const { data } = await new JoyTokenClient({ apiKey: "", apiBaseUrl: url }).models.list({ locale: "en" });
    assert.ok(data.models.some(({ modelKey, modelId }) => [modelKey, modelId].some((name) => name?.includes("echo"))));
    assert.ok((await client.models.meta()).data.tiers.length >= 3);
    assert.match((await client.pricing.retrieve()).data.tiers[0]?.usdPerCredit ?? "", /^\d+\.?\d*$/);
    const run = { id: `run-${Date.now()}`, workflow: "nightly", step: 3, budget: "1" };
    const spender = clientOf("JOYTOKEN_TEST_RUN_KEY");
    const answer = await spender.chat.completions.create(ask("hi"), { run });
    const id = callMetadata(answer)?.request_id ?? "";
    const receipt = await eventually("the receipt is there", () =>
      spender.receipts.retrieve(id).catch(() => undefined),
    );
    assert.equal(receipt.request.charged, callMetadata(answer)?.billing?.credits_used);
    assert.deepEqual([receipt.request.run, receipt.request.workflow, receipt.request.step], [run.id, "nightly", "3"]);
    const tree = await eventually("the run is there", () => spender.runs.retrieve(run.id).catch(() => undefined));
    assert.deepEqual([tree.id, tree.workflow, tree.runs[0]?.requests], [run.id, "nightly", 1]);
    assert.equal(tree.requests[0]?.request_id, id);
    const key = await spender.key.retrieve();
    assert.equal(key.status, "active");
    assert.equal(key.policy.run_budget, true);
    assert.deepEqual(key.wallets.map(({ tier }) => tier).sort(), ["economy", "premium", "standard"]);
  });
}

/** Read the first chunk, do something, and leave where that says so; when it was left. */
async function leftAt(chunks: AsyncIterable<unknown>, then: () => Promise<boolean>): Promise<number> {
  try {
    for await (const _ of chunks) if (await then()) break;
  } catch (error) {
    assert.equal((error as Error).message, "enough");
  }
  return Date.now();
}

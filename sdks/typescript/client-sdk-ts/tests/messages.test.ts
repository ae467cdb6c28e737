import assert from "node:assert/strict";
import { test } from "node:test";
import { callMetadata, type Tool } from "@joytoken/client-sdk-ts";
import { answering, chatAnswer, chunk, clientOf, collect, failure, toolCall } from "./fake-server.js";

const ASK = { model: "auto", max_tokens: 9, messages: [{ role: "user" as const, content: "hi" }] };
const weather: Tool = { name: "weather", execute: (input) => input };

test("90. a message is sent as a chat, and says where its tokens are not known", async (t) => {
  const server = await answering(t, chatAnswer({ content: "blue" }));
  const got = await clientOf(server).messages.create({
    model: "auto",
    max_tokens: 9,
    system: "be kind",
    messages: [
      { role: "user", content: "weather?" },
      { role: "assistant", content: [{ type: "tool_use", id: "c1", name: "weather", input: { city: "Ulm" } }] },
      { role: "user", content: [{ type: "tool_result", tool_use_id: "c1", content: "blue", is_error: false }] },
    ],
    tools: [{ name: "weather", input_schema: { type: "object" } }],
    tool_choice: { type: "any", disable_parallel_tool_use: true },
    stop_sequences: ["END"],
  });
  assert.equal(server.seen[0]?.path, "/openai/v1/chat/completions");
  assert.deepEqual(server.seen[0]?.body, {
    model: "auto",
    max_tokens: 9,
    messages: [
      { role: "system", content: "be kind" },
      { role: "user", content: "weather?" },
      { role: "assistant", content: null, tool_calls: [toolCall("c1", "weather", { city: "Ulm" })] },
      { role: "tool", tool_call_id: "c1", content: "blue" },
    ],
    tools: [{ type: "function", function: { name: "weather", parameters: { type: "object" } } }],
    tool_choice: "required",
    parallel_tool_calls: false,
    stop: ["END"],
    stream: false,
  });
  assert.deepEqual(got.content, [{ type: "text", text: "blue" }]);
  assert.deepEqual(got.usage, { input_tokens: 0, output_tokens: 0 });
  assert.deepEqual(got.metadata, { joytoken: { usage_status: "unavailable", usage_source: "gateway" } });
});

test("a run of messages executes tools, and its errors say that it was one", async (t) => {
  const wants = chatAnswer({ tool_calls: [toolCall("c1", "weather", { city: "Ulm" })] }, "tool_calls");
  const server = await answering(t, wants, chatAnswer({ content: "blue" }), wants, { status: 500 });
  const client = clientOf(server, { tools: [weather] });
  const got = await client.messages.run(ASK);
  assert.deepEqual([got.content[0]?.text, got.stop_reason], ["blue", "end_turn"]);
  assert.equal(server.seen[1]?.body.messages.at(-1).content, '{"city":"Ulm"}');
  const error = await failure(client.messages.executeTools(ASK));
  assert.deepEqual([error.context.protocol, error.context.phase], ["messages", "tool_continuation"]);
});

test("a message stream tells text, tools and the metadata", async (t) => {
  const usage = { prompt_tokens: 3, completion_tokens: 4 };
  const server = await answering(t, {
    events: [
      { choices: [], metadata: { request_id: "req-1" } },
      chunk({ content: "hm" }),
      chunk(
        { tool_calls: [{ index: 0, id: "c1", function: { name: "weather", arguments: '{"a":1}' } }] },
        "tool_calls",
      ),
      { choices: [], usage },
      { choices: [], metadata: { tier: "standard" } },
    ],
  });
  const events = await collect(clientOf(server).messages.stream({ ...ASK, tools: [] }));
  assert.deepEqual(
    events.map(({ type, index }) => [type, index]),
    [
      ["message_start", undefined],
      ["content_block_start", 0],
      ["content_block_delta", 0],
      ["content_block_stop", 0],
      ["content_block_start", 1],
      ["content_block_delta", 1],
      ["content_block_stop", 1],
      ["message_delta", undefined],
      ["message_stop", undefined],
    ],
  );
  const ending = events.at(-2);
  assert.deepEqual(callMetadata(ending), { request_id: "req-1", tier: "standard" });
  assert.deepEqual(ending?.usage, { input_tokens: 3, output_tokens: 4 });
  assert.equal(ending?.delta?.stop_reason, "tool_use");
});

test("a streamed run of messages gives the last message", async (t) => {
  const call = { index: 0, id: "c1", function: { name: "weather", arguments: "{}" } };
  const server = await answering(
    t,
    { events: [chunk({ tool_calls: [call] }, "tool_calls")] },
    { events: [chunk({ content: "bl" }), chunk({ content: "ue" }, "stop")] },
  );
  const deltas: string[] = [];
  const client = clientOf(server, { tools: [weather] });
  const got = await client.messages.runStream(ASK, { onTextDelta: (delta) => deltas.push(delta) });
  assert.deepEqual([got.content, deltas], [[{ type: "text", text: "blue" }], ["bl", "ue"]]);
});

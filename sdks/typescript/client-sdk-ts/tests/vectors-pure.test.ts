import assert from "node:assert/strict";
import { test } from "node:test";
import {
  callMetadata,
  callUsage,
  classifyFinishReason,
  evalExpression,
  parseOrchestrationResponse,
  parseToolArguments,
  stringifyToolResult,
} from "@joytoken/client-sdk-ts";
import { ToolCallAssembly } from "../dist/tool-call-assembly.js";
import { openAIBaseUrlFrom } from "../dist/base-url.js";
import { chatChunkOf } from "../dist/chat-answer.js";
import { chatRequestOf } from "../dist/message-request.js";
import { messageResponseOf } from "../dist/message-response.js";
import { MessageEvents } from "../dist/message-stream.js";
import type { MessageStreamEvent } from "@joytoken/client-sdk-ts";
import { eachVector } from "./vectors.js";

/** As JSON has it: without what is undefined, and without prototypes. */
const plain = (value: unknown): any => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)));

eachVector("openai-base-urls", ({ input, expect }) => assert.equal(openAIBaseUrlFrom(input), expect));
eachVector("finish-reasons", ({ input, expect }) => assert.equal(classifyFinishReason(input), expect));
eachVector("tool-arguments", ({ input, expect }) => assert.deepEqual(plain(parseToolArguments(input)), expect));
eachVector("tool-results", ({ input, expect }) => assert.equal(stringifyToolResult(input), expect));

eachVector("eval-expression", ({ input, expect }) => {
  if ("value" in expect) return assert.ok(Math.abs(evalExpression(input) - expect.value) < 1e-12);
  assert.throws(
    () => evalExpression(input),
    (error: Error) => error.message.includes(expect.error),
  );
});

eachVector("chat-chunks", ({ input, expect }) => {
  const made = plain(chatChunkOf({ value: input, status: 200, headers: new Headers() }, undefined));
  if (made.usage === null) delete made.usage;
  assert.deepEqual(made, expect);
});

eachVector("call-metadata", ({ input, expect }) => {
  const made = plain(callMetadata(input));
  if (expect === null) return assert.equal(made, undefined);
  for (const [field, value] of Object.entries<any>(expect)) {
    if (field !== "billing" && field !== "latency") assert.deepEqual(made[field], value);
    else for (const [name, part] of Object.entries(value)) assert.deepEqual(made[field][name], part);
  }
});

eachVector("usage", ({ input, expect }) => assert.deepEqual(callUsage(input) ?? null, expect));

test("the usage of messages and responses has the names that chats have, and keeps the rest", () => {
  const usage = { input_tokens: 3, output_tokens: 4, cache_read_input_tokens: 2 };
  assert.deepEqual(callUsage({ usage }), { ...usage, prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 });
  assert.equal(callUsage(undefined), undefined);
});

eachVector("tool-calls", ({ input, expect }) => {
  const calls = new ToolCallAssembly();
  for (const fragments of input) calls.add(fragments);
  assert.deepEqual(plain(calls.calls()), expect);
});

eachVector("orchestration", ({ input, expect }) => {
  assert.deepEqual(plain(parseOrchestrationResponse(input)) ?? null, expect);
});

eachVector("messages-requests", ({ input, expect, absent = [] }) => {
  const made = plain(chatRequestOf(input));
  for (const [field, value] of Object.entries(expect)) assert.deepEqual(made[field], value, field);
  for (const field of absent) assert.ok(!(field in made), field);
});

eachVector("messages-responses", ({ input, expect }) => {
  const made = plain(messageResponseOf(input));
  for (const [field, value] of Object.entries(expect)) assert.deepEqual(made[field], value, field);
});

eachVector("messages-streams", ({ input, expect }) => {
  const events = new MessageEvents();
  const made: MessageStreamEvent[] = [];
  for (const chunk of input) made.push(...events.add(chunk));
  made.push(...events.end());
  const text = made.map(({ delta }) => (delta?.type === "text_delta" ? delta.text : "")).join("");
  assert.equal(text, expect.text);
  assert.deepEqual(plain(toolUses(made)), expect.tool_uses);
  const ending = made.find(({ type }) => type === "message_delta");
  assert.equal(ending?.delta?.stop_reason, expect.stop_reason);
  assert.deepEqual(plain(ending?.usage), expect.usage);
  const types = made.map(({ type }) => type).filter((type, index, all) => type !== all[index - 1]);
  if (expect.types !== undefined) assert.deepEqual(types, expect.types);
});

function toolUses(events: MessageStreamEvent[]): unknown[] {
  const begun = events.filter(({ content_block }) => content_block?.type === "tool_use");
  return begun.map(({ index, content_block }) => {
    const pieces = events.filter((event) => event.index === index && event.delta?.type === "input_json_delta");
    const { type: _, ...block } = content_block ?? { type: "" };
    return { ...block, input: JSON.parse(pieces.map(({ delta }) => delta?.partial_json).join("")) };
  });
}

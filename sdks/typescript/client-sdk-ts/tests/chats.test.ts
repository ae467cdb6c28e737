import assert from "node:assert/strict";
import { test } from "node:test";
import { callMetadata, JoyTokenAPIError, malformedToolCallNudge, type Tool } from "@joytoken/client-sdk-ts";
import {
  answering,
  chatAnswer,
  chunk,
  clientOf,
  collect,
  failure,
  fakeServer,
  HELLO,
  KEY,
  send,
  toolCall,
} from "./fake-server.js";
import { eachVector } from "./vectors.js";

const DEFAULT_TOOLS = ["calculator", "datetime", "file_search", "list_dir", "file_read", "file_write", "shell"];
const namesOf = (tools: any[]): string[] => tools.map((tool) => tool.function.name);

function weather(log: unknown[] = []): Tool {
  return {
    name: "weather",
    description: "tells the weather",
    parameters: { type: "object", properties: { city: { type: "string" } } },
    execute(input, context) {
      log.push([input, context.step, context.toolCall.id, context.messages.length]);
      return { sky: "blue" };
    },
  };
}

test("16, 18. a chat goes out whole and comes back whole, with its request id", async (t) => {
  const metadata = { request_id: "req-1", tier: "standard", billing: { credits_used: "0.001000", input_tokens: 3 } };
  const answer = chatAnswer({ content: "hello" });
  const server = await answering(t, { ...answer, json: { ...(answer.json as object), metadata, x_field: [1] } });
  const request = { ...HELLO, tools: [], temperature: 0.5, stop: ["."], metadata: { team: "blue" }, seed: 7 };
  const got = await clientOf(server).chat.completions.create(request);
  assert.deepEqual(server.seen[0]?.body, { ...request, stream: false });
  assert.equal(server.seen[0]?.path, "/openai/v1/chat/completions");
  assert.equal(got.choices[0]?.message.content, "hello");
  assert.deepEqual(got["x_field"], [1]);
  assert.equal(callMetadata(got)?.request_id, "req-1");
  assert.equal(callMetadata(got)?.billing?.credits_used, "0.001000");
});

test("23. without usage there is none, whatever the billing says", async (t) => {
  const answer = chatAnswer({ content: "hello" });
  const metadata = { billing: { input_tokens: 3, output_tokens: 4 } };
  const server = await answering(t, { json: { ...(answer.json as object), metadata } });
  assert.equal((await clientOf(server).chat.completions.create({ ...HELLO, tools: [] })).usage, undefined);
});

test("29, 30, 85. run executes the tools, sends the same ones again and submits the last results", async (t) => {
  const log: unknown[] = [];
  const signed = { thought_signature: "s1", extra_content: { google: { thought_signature: "s2", deep: [1] } } };
  const call = toolCall("c1", "weather", { city: "Ulm" }, signed);
  const other = toolCall("c2", "weather", { city: "Bonn" });
  const server = await answering(
    t,
    chatAnswer({ tool_calls: [call, other], reasoning: "hm" }, "tool_calls"),
    chatAnswer({ content: "blue" }),
  );
  const request = { ...HELLO, temperature: 0, tool_choice: "auto" as const, seed: 3 };
  const got = await clientOf(server, { tools: [weather(log)] }).chat.completions.run(request);
  assert.equal(got.choices[0]?.message.content, "blue");
  assert.deepEqual(log, [
    [{ city: "Ulm" }, 1, "c1", 2],
    [{ city: "Bonn" }, 1, "c2", 2],
  ]);
  const [first, second] = server.seen.map(({ body }) => body);
  const { messages: asked, ...rest } = second;
  assert.ok(!("thought_signature" in asked[1].tool_calls[1]));
  assert.deepEqual(rest, (({ messages: _, ...same }) => same)(first));
  assert.deepEqual(namesOf(first.tools), ["weather"]);
  assert.deepEqual(asked, [
    ...HELLO.messages,
    { role: "assistant", content: null, tool_calls: [call, other], reasoning: "hm" },
    { role: "tool", tool_call_id: "c1", name: "weather", content: '{"sky":"blue"}' },
    { role: "tool", tool_call_id: "c2", name: "weather", content: '{"sky":"blue"}' },
  ]);
  assert.notEqual(server.seen[0]?.headers["idempotency-key"], server.seen[1]?.headers["idempotency-key"]);
});

test("31. messages of every role go out as they are", async (t) => {
  const server = await answering(t, chatAnswer({ content: "ok" }));
  const messages = [
    { role: "developer" as const, content: "be brief" },
    { role: "user" as const, content: [{ type: "text", text: "hi" }] },
    { role: "assistant" as const, content: null, tool_calls: [toolCall("c", "f") as any] },
    { role: "tool" as const, tool_call_id: "c", name: "f", content: "1" },
  ];
  await clientOf(server).chat.completions.create({ model: "stub/a", messages, tools: [] });
  assert.deepEqual(server.seen[0]?.body.messages, messages);
});

test("32. an error in an answer of 200 is thrown", async (t) => {
  const error = { message: "orchestration failed", type: "server_error" };
  const server = await answering(t, { headers: { "X-Request-ID": "req-7" }, json: { error, choices: [] } });
  const thrown = await failure(clientOf(server).chat.completions.create({ ...HELLO, tools: [] }));
  assert.ok(thrown instanceof JoyTokenAPIError);
  assert.match(thrown.message, /^JoyToken Chat stream error: orchestration failed$/);
  assert.deepEqual([thrown.body, thrown.status, thrown.requestId], [error, 200, "req-7"]);
});

test("82. a blank model or a blank key is a local error on all calls but models.list", async (t) => {
  const server = await answering(t, { json: { data: [] } });
  const client = clientOf(server, { apiKey: " " });
  const message = { ...HELLO, max_tokens: 9 };
  const calls = (request: any): Promise<unknown>[] => [
    client.chat.completions.create({ ...message, ...request }),
    client.chat.completions.run({ ...message, ...request }),
    collect(client.chat.completions.stream({ ...message, ...request })),
    client.chat.completions.runStream({ ...message, ...request }),
    client.messages.create({ ...message, ...request }),
    collect(client.messages.stream({ ...message, ...request })),
    client.messages.runStream({ ...message, ...request }),
    client.responses.create({ input: "hi", model: "auto", ...request }),
    collect(client.responses.stream({ input: "hi", model: "auto", ...request })),
    client.responses.runStream({ input: "hi", model: "auto", ...request }),
    client.images.generate({ prompt: "a cat", model: "auto", ...request }),
    client.images.edit({ prompt: "a cat", image: "x", model: "auto", ...request }),
  ];
  for (const call of calls({ model: " " })) assert.match((await failure(call)).message, /model must be/);
  const keyless = [client.models.meta(), client.pricing.retrieve(), client.receipts.retrieve("req-1")];
  for (const call of [...calls({}), ...keyless, client.key.retrieve(), client.runs.retrieve("r")]) {
    const error = await failure(call);
    assert.equal(error.message, "JoyToken API key is required. Pass apiKey or set JOY_TOKEN_API_KEY.");
  }
  assert.equal(server.seen.length, 0);
  await client.models.list();
  assert.equal(server.seen.length, 1);
});

test("83. no header can take the place of the key", async (t) => {
  const server = await answering(t, chatAnswer({ content: "ok" }));
  const defaultHeaders = { authorization: "Bearer x", "X-API-KEY": "y" };
  const headers = { Authorization: "Bearer z", "x-api-key": "w" };
  await clientOf(server, { defaultHeaders }).chat.completions.create({ ...HELLO, tools: [] }, { headers });
  assert.equal(server.seen[0]?.headers.authorization, `Bearer ${KEY}`);
  assert.equal(server.seen[0]?.headers["x-api-key"], undefined);
});

test("84. the default tools, [] and the client's own", async (t) => {
  const server = await answering(t, chatAnswer({ content: "ok" }));
  const sentBy = async (options: object, request: object = {}): Promise<any> => {
    await clientOf(server, options).chat.completions.create({ ...HELLO, ...request });
    return server.seen.at(-1)?.body.tools;
  };
  assert.deepEqual(namesOf(await sentBy({})), DEFAULT_TOOLS);
  assert.deepEqual(await sentBy({}, { tools: [] }), []);
  assert.deepEqual(namesOf(await sentBy({ tools: [weather()] })), ["weather"]);
  assert.deepEqual(await sentBy({ tools: [weather()] }, { tools: [] }), []);
  assert.equal(await sentBy({ defaultLocalTools: false }), undefined);
  assert.deepEqual(namesOf(await sentBy({ excludedDefaultTools: ["shell", "file_write"] })), DEFAULT_TOOLS.slice(0, 5));
});

test("85. create never runs the tools of a user, and runs the default ones", async (t) => {
  const log: unknown[] = [];
  const wants = chatAnswer({ tool_calls: [toolCall("c1", "weather")] }, "tool_calls");
  const server = await answering(t, wants);
  const got = await clientOf(server, { tools: [weather(log)] }).chat.completions.create(HELLO);
  assert.deepEqual([got.choices[0]?.finish_reason, log.length, server.seen.length], ["tool_calls", 0, 1]);
  const sums = chatAnswer({ tool_calls: [toolCall("c1", "calculator", { expression: "2*21" })] }, "tool_calls");
  const counting = await answering(t, sums, chatAnswer({ content: "42" }));
  assert.equal((await clientOf(counting).chat.completions.create(HELLO)).choices[0]?.message.content, "42");
  assert.equal(counting.seen[1]?.body.messages.at(-1).content, '{"result":42}');
  const given = await answering(t, sums);
  await clientOf(given).chat.completions.create({
    ...HELLO,
    tools: [{ type: "function", function: { name: "calculator" } }],
  });
  assert.equal(given.seen.length, 1);
});

test("85. a loop ends after toolMaxSteps rounds, and the last results are still submitted", async (t) => {
  const log: unknown[] = [];
  const server = await answering(t, chatAnswer({ tool_calls: [toolCall("c1", "weather")] }, "tool_calls"));
  await clientOf(server, { tools: [weather(log)], toolMaxSteps: 3 }).chat.completions.run(HELLO);
  assert.deepEqual([log.length, server.seen.length], [3, 4]);
  assert.equal(server.seen[3]?.body.messages.filter(({ role }: any) => role === "tool").length, 3);
  await clientOf(server, { tools: [weather(log)], toolMaxSteps: 0 }).chat.completions.run(HELLO);
  assert.equal(server.seen.length, 4 + 9);
});

test("86. what is wrong with a tool is told to the model", async (t) => {
  const calls = [toolCall("c1", "gone"), toolCall("c2", "bad"), toolCall("c3", "odd"), toolCall("c4", "loop")];
  const server = await answering(t, chatAnswer({ tool_calls: calls }, "tool_calls"), chatAnswer({ content: "sorry" }));
  const loop: Record<string, unknown> = {};
  loop["self"] = loop;
  const tools: Tool[] = [
    { name: "bad", execute: () => Promise.reject(new Error("broke")) },
    {
      name: "odd",
      execute() {
        throw "a text";
      },
    },
    { name: "loop", execute: () => loop },
  ];
  await clientOf(server, { tools }).chat.completions.run(HELLO);
  const results = server.seen[1]?.body.messages.slice(-4).map(({ content }: any) => JSON.parse(content).error);
  const notFound = { type: "tool_handler_not_found", tool: "gone", message: "Tool handler not found: gone" };
  assert.deepEqual(results.slice(0, 3), [
    notFound,
    { type: "tool_execution_error", tool: "bad", message: "broke" },
    { type: "tool_execution_error", tool: "odd", message: "a text" },
  ]);
  assert.match(results[3].message, /circular/);
});

test("87. a failed continuation keeps status, id, body and place, and the tool ran once", async (t) => {
  const log: unknown[] = [];
  const body = { error: { message: "away", type: "upstream_error", code: "provider_unavailable", param: "model" } };
  const server = await answering(
    t,
    chatAnswer({ tool_calls: [toolCall("c1", "weather", {}, { thought_signature: "s" })] }, "tool_calls"),
    { status: 503, headers: { "x-request-id": "req-9" }, json: body },
  );
  const error = await failure(clientOf(server, { tools: [weather(log)] }).chat.completions.run(HELLO));
  assert.ok(error instanceof JoyTokenAPIError);
  assert.deepEqual([error.status, error.code, error.requestId, error.body], [503, "server_error", "req-9", body]);
  assert.deepEqual(
    [error.errorType, error.errorCode, error.param],
    ["upstream_error", "provider_unavailable", "model"],
  );
  assert.deepEqual(error.context, {
    protocol: "chat",
    phase: "tool_continuation",
    requestNumber: 2,
    toolStep: 1,
    toolCalls: [{ id: "c1", name: "weather", hasThoughtSignature: true, hasExtraContent: false }],
  });
  assert.deepEqual([log.length, server.seen.length], [1, 2]);
});

test("a malformed tool call is asked for again", async (t) => {
  const server = await answering(t, chatAnswer({ content: "" }, "MALFORMED_FUNCTION_CALL"), {
    status: 500,
    json: { error: { message: "no" } },
  });
  const error = await failure(clientOf(server, { tools: [weather()] }).chat.completions.run(HELLO));
  assert.deepEqual(server.seen[1]?.body.messages.slice(-1), [{ role: "user", content: malformedToolCallNudge }]);
  assert.deepEqual(error.context, { protocol: "chat", phase: "repair_continuation", requestNumber: 2 });
});

test("89. every spelling of the base URL leads to one chat URL", async (t) => {
  const server = await answering(t, chatAnswer({ content: "ok" }));
  const paths = ["", "/", "/openai/v1", "/openai/v1/", "/openai/v1/chat/completions", "/openai/v1/responses"];
  for (const path of [...paths, "/openai/v1/images/edits", "/anthropic/v1", "/anthropic/v1/messages"]) {
    await clientOf(server, { openAIBaseUrl: server.url + path }).chat.completions.create({ ...HELLO, tools: [] });
  }
  assert.deepEqual([...new Set(server.seen.map(({ path }) => path))], ["/openai/v1/chat/completions"]);
});

test("91. a streamed run tells the final text alone, and one plan", async (t) => {
  const plan = [{ seq: 1, task_id: "t1", title: "Search" }];
  const server = await answering(t, {
    events: [
      { choices: [], orchestration: { phase: "planning", plan } },
      { choices: [], orchestration: { phase: "planning", plan } },
      chunk({ content: "fo" }, null, {
        orchestration: { task_id: "t1", task_seq: 1, title: "Search", task_status: "running" },
      }),
      chunk({ content: "und" }, null, { orchestration: { task_id: "t1", task_status: "completed" } }),
      chunk({ content: "the " }, null, { orchestration: { task_id: "__final__" } }),
      chunk({ content: "answer" }, "stop"),
      { choices: [], metadata: { request_id: "req-3" } },
    ],
  });
  const events: any[] = [];
  const deltas: string[] = [];
  const answer = await clientOf(server).chat.completions.runStream(
    { ...HELLO, tools: [] },
    { onOrchestrationEvent: (event) => events.push(event), onTextDelta: (delta) => deltas.push(delta) },
  );
  assert.equal(answer.choices[0]?.message.content, "the answer");
  assert.deepEqual(deltas, ["the ", "answer"]);
  assert.deepEqual(
    events.map(({ type }) => type),
    ["plan", "stage", "stage", "stage"],
  );
  assert.deepEqual(events.map(({ final }) => final).slice(1), [false, false, true]);
  assert.deepEqual(answer.orchestration?.plan, plan);
  assert.equal(answer.orchestration?.stages[0]?.content, "found");
  assert.equal(callMetadata(answer)?.request_id, "req-3");
});

eachVector("orchestration-streams", async ({ input, expect }, t) => {
  const client = clientOf(await answering(t, { events: input }));
  const deltas: string[] = [];
  let plans = 0;
  const { choices, orchestration } = await client.chat.completions.runStream(
    { ...HELLO, tools: [] },
    {
      onTextDelta: (delta) => deltas.push(delta),
      onOrchestrationEvent: ({ type }) => (plans += type === "plan" ? 1 : 0),
    },
  );
  assert.equal(choices[0]?.message.content, expect.text);
  assert.deepEqual(deltas, expect.deltas);
  assert.equal(plans, expect.plan_events);
  assert.deepEqual(orchestration?.plan ?? null, expect.plan);
  const stages = orchestration?.stages.map(({ task_id, content }) => [task_id, content]);
  assert.deepEqual(stages === undefined ? null : Object.fromEntries(stages), expect.stages);
});

test("92. create puts plan and stages of an orchestrated answer together, and of no other", async (t) => {
  const answer = chatAnswer({ content: '[{"title": "Search", "content": "found"}]' });
  const rows = [
    { task_id: "__planner__", task_seq: 0 },
    { task_id: "t1", task_seq: 1, title: "Search" },
  ];
  const server = await answering(
    t,
    { json: { ...(answer.json as object), metadata: rows } },
    { json: { ...(answer.json as object), metadata: [{ model: "m", tier: "standard" }] } },
  );
  const client = clientOf(server);
  const first = await client.chat.completions.create({ ...HELLO, tools: [] });
  const stages = [{ task_id: "t1", task_seq: 1, title: "Search", content: "found" }];
  assert.deepEqual(JSON.parse(JSON.stringify(first.orchestration)), { stages });
  assert.equal((await client.chat.completions.create({ ...HELLO, tools: [] })).orchestration, undefined);
});

test("an answer that is too large, or no JSON, is an error and not read further", async (t) => {
  const server = await fakeServer(t, (_, response, number) => {
    if (number > 1) return send(response, { text: "<html>" });
    response.writeHead(200, { "Content-Type": "application/json" });
    const piece = Buffer.alloc(1 << 20, 120);
    const more = (): void => {
      while (!response.destroyed && response.write(piece));
    };
    response.on("drain", more);
    more();
  });
  const client = clientOf(server);
  const large = await failure(client.chat.completions.create({ ...HELLO, tools: [] }));
  assert.match(large.message, /answer is over 64 MiB/);
  await server.seen[0]?.closed;
  const error = await failure(client.chat.completions.create({ ...HELLO, tools: [] }));
  assert.deepEqual(
    [error.name, error.message],
    ["JoyTokenAPIError", "JoyToken API answered with status 200 and no JSON"],
  );
  assert.equal(error.body, "<html>");
});

test("a redirect is an error: no other server is sent the prompt", async (t) => {
  const other = await answering(t, chatAnswer({ content: "stolen" }));
  const server = await answering(t, { status: 307, headers: { Location: `${other.url}/openai/v1/chat/completions` } });
  const error = await failure(clientOf(server).chat.completions.create({ ...HELLO, tools: [] }));
  assert.equal(error.status, 307);
  assert.equal(other.seen.length, 0);
});

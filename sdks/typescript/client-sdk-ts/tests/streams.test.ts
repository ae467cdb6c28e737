import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { test, type TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { callMetadata, collectChat, JoyTokenAPIError } from "@joytoken/client-sdk-ts";
import {
  answering,
  chatAnswer,
  chunk,
  clientOf,
  collect,
  failure,
  fakeServer,
  HELLO,
  toolCall,
} from "./fake-server.js";

/** A server that sends one chunk after the other until its peer leaves. */
function endless(t: TestContext) {
  return fakeServer(t, (_, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    const timer = setInterval(() => response.write(`data: ${JSON.stringify(chunk({ content: "x" }))}\n\n`), 2);
    response.on("close", () => clearInterval(timer));
  });
}

/** A server that sends these bytes and then says nothing more. */
function silent(t: TestContext, text: string, head = true) {
  return fakeServer(t, (_, response: ServerResponse) => {
    if (!head) return;
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.flushHeaders();
    if (text !== "") response.write(text);
  });
}

test("33, 34. a stream is asked for with its usage, and its texts add up", async (t) => {
  const server = await answering(t, {
    events: [chunk({ role: "assistant" }), chunk({ content: "he" }), chunk({ content: "llo" }, "stop")],
  });
  const request = { ...HELLO, stream_options: { x: 1 } };
  const chunks = await collect(clientOf(server).chat.completions.stream(request));
  assert.equal(chunks.map(({ choices }) => choices[0]?.delta.content ?? "").join(""), "hello");
  assert.deepEqual(server.seen[0]?.body.stream, true);
  assert.deepEqual(server.seen[0]?.body.stream_options, { x: 1, include_usage: true });
  assert.equal(server.seen[0]?.headers.accept, "text/event-stream");
  assert.equal(server.seen[0]?.headers["x-joytoken-on-disconnect"], "stop");
});

test("36, 38. chunks of metadata and of usage have no choices", async (t) => {
  const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
  const server = await answering(t, { events: [{ metadata: { request_id: "r" } }, { id: "c", choices: [], usage }] });
  const [first, second] = await collect(clientOf(server).chat.completions.stream(HELLO));
  assert.deepEqual(first?.choices, []);
  assert.equal(callMetadata(first)?.request_id, "r");
  assert.deepEqual([second?.choices, second?.usage], [[], usage]);
});

test("40. who leaves the loop hangs up", async (t) => {
  const server = await endless(t);
  for await (const one of clientOf(server).chat.completions.stream(HELLO)) {
    assert.equal(one.choices[0]?.delta.content, "x");
    break;
  }
  await server.seen[0]?.closed;
});

test("40. so does who throws in it, who returns early from the iterator, and a message stream", async (t) => {
  const server = await endless(t);
  const client = clientOf(server);
  const thrown = await failure(
    (async () => {
      for await (const _ of client.chat.completions.stream(HELLO)) throw new Error("mine");
    })(),
  );
  assert.equal(thrown.message, "mine");
  const chunks = client.chat.completions.stream(HELLO);
  await chunks.next();
  await chunks.return();
  for await (const _ of client.messages.stream({ ...HELLO, max_tokens: 9 })) break;
  for await (const _ of client.responses.stream({ model: "auto", input: "hi" })) break;
  await Promise.all(server.seen.map(({ closed }) => closed));
  assert.equal(server.seen.length, 4);
});

test("40. an abort ends a stream with the caller's reason, also while nothing comes", async (t) => {
  for (const server of [await endless(t), await silent(t, ""), await silent(t, "", false)]) {
    const caller = new AbortController();
    const reason = new Error("enough");
    setTimeout(() => caller.abort(reason), 30);
    const stream = clientOf(server).chat.completions.stream(HELLO, { signal: caller.signal });
    assert.equal(await failure(collect(stream)), reason);
    await server.seen[0]?.closed;
  }
});

test("40. an abort ends a stream at once, also within what has come in one piece", async (t) => {
  const server = await answering(t, {
    text: 'data: {"n": 1}\n\ndata: {"n": 2}\n\n',
    headers: { "Content-Type": "text/event-stream" },
  });
  const caller = new AbortController();
  const seen: unknown[] = [];
  const error = await failure(
    (async () => {
      for await (const one of clientOf(server).chat.completions.stream(HELLO, { signal: caller.signal })) {
        seen.push(one["n"]);
        caller.abort(new Error("enough"));
      }
    })(),
  );
  assert.deepEqual([error.message, seen], ["enough", [1]]);
});

test("the time that a reader takes for itself is not counted", async (t) => {
  let goOn = (): void => undefined;
  const asked = new Promise<void>((resolve) => (goOn = resolve));
  const server = await fakeServer(t, async (_, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write(`data: ${JSON.stringify(chunk({ content: "a" }))}\n\n`);
    await asked;
    response.end(`data: ${JSON.stringify(chunk({ content: "b" }))}\n\n`);
  });
  let seen = 0;
  for await (const _ of clientOf(server, { timeoutMs: 500 }).chat.completions.stream(HELLO)) {
    if (++seen > 1) break;
    await pause(700);
    goOn();
    await pause(100);
  }
  assert.equal(seen, 2);
});

test("a signal that is aborted already sends nothing", async (t) => {
  const server = await endless(t);
  const signal = AbortSignal.abort(new Error("before"));
  const error = await failure(collect(clientOf(server).chat.completions.stream(HELLO, { signal })));
  assert.deepEqual([error.message, server.seen.length], ["before", 0]);
});

test("a stream that hangs is ended by the timeout, before its head or an event, or after one", async (t) => {
  const hanging = [
    await silent(t, "", false),
    await silent(t, ""),
    await silent(t, 'data: {"choices": []}\n\ndata: {'),
  ];
  for (const server of hanging) {
    const error = await failure(collect(clientOf(server, { timeoutMs: 40 }).chat.completions.stream(HELLO)));
    assert.ok(error instanceof JoyTokenAPIError);
    assert.deepEqual([error.code, error.status, error.context?.protocol], ["timeout", 0, "chat"]);
    assert.match(error.message, /timed out after 40 ms/);
    await server.seen[0]?.closed;
  }
});

test("the timeout of a stream is counted anew with each piece", async (t) => {
  const server = await fakeServer(t, async (_, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    for (let piece = 0; piece < 8; piece++) {
      response.write(`data: ${JSON.stringify(chunk({ content: "x" }))}\n\n`);
      await pause(100);
    }
    response.end("data: [DONE]\n\n");
  });
  const chunks = await collect(clientOf(server, { timeoutMs: 600 }).chat.completions.stream(HELLO));
  assert.equal(chunks.length, 8);
});

test("a stream is over at [DONE], also where the server keeps the connection open", async (t) => {
  const server = await silent(t, `data: ${JSON.stringify(chunk({ content: "x" }))}\n\ndata: [DONE]\n\n`);
  assert.equal((await collect(clientOf(server).chat.completions.stream(HELLO))).length, 1);
  await server.seen[0]?.closed;
});

test("a stream is not tried again once it has begun, and is where it was refused", async (t) => {
  const cut = await fakeServer(t, (_, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.write('data: {"choices": []}\n\n');
    setTimeout(() => response.destroy(), 20);
  });
  const error = await failure(collect(clientOf(cut, { maxRetries: 3 }).chat.completions.stream(HELLO)));
  assert.deepEqual([error.code, cut.seen.length], ["network", 1]);
  const away = { status: 503, headers: { "Retry-After": "0" } };
  const refusing = await answering(t, away, { events: [chunk({ content: "x" }, "stop")] });
  assert.equal((await collect(clientOf(refusing, { maxRetries: 1 }).chat.completions.stream(HELLO))).length, 1);
});

test("41. fragments of tool calls are put together by index, and extra content is merged deeply", async (t) => {
  const fragment = (index: number, fields: object): object => chunk({ tool_calls: [{ index, ...fields }] });
  const server = await answering(
    t,
    {
      events: [
        chunk({ reasoning_content: "so " }),
        fragment(0, {
          id: "c1",
          function: { name: "wea", arguments: '{"ci' },
          extra_content: { g: { a: 1, l: [1, 2] } },
        }),
        fragment(1, { id: "c2", function: { name: "weather", arguments: "{}" } }),
        fragment(0, { function: { name: "ther", arguments: 'ty":"Ulm"}' }, extra_content: { g: { b: 2, l: [3] } } }),
        chunk({ reasoning_content: "be it" }, "tool_calls"),
      ],
    },
    { events: [chunk({ content: "blue" }, "stop")] },
  );
  const results: unknown[] = [];
  const client = clientOf(server, { tools: [{ name: "weather", execute: (input) => input }] });
  const answer = await client.chat.completions.runStream(HELLO, { onToolResult: (result) => results.push(result) });
  assert.equal(answer.choices[0]?.message.content, "blue");
  const said = server.seen[1]?.body.messages[1];
  assert.deepEqual(said, {
    role: "assistant",
    content: null,
    reasoning_content: "so be it",
    tool_calls: [
      toolCall("c1", "weather", { city: "Ulm" }, { extra_content: { g: { a: 1, b: 2, l: [3] } } }),
      toolCall("c2", "weather", {}),
    ],
  });
  assert.deepEqual(results[0], {
    tool_call_id: "c1",
    tool_name: "weather",
    content: '{"city":"Ulm"}',
    is_error: false,
  });
});

test("a stream is collected into its whole answer, and no tool of it is run", async (t) => {
  const call = { index: 0, id: "c1", function: { name: "calculator", arguments: "{}" } };
  const usage = { prompt_tokens: 1, completion_tokens: 2 };
  const events = [chunk({ content: "so" }), chunk({ tool_calls: [call] }, "tool_calls"), { choices: [], usage }];
  const server = await answering(t, { events });
  const told: string[] = [];
  const stream = clientOf(server).chat.completions.stream(HELLO);
  const answer = await collectChat(stream, { onTextDelta: (delta) => told.push(delta) });
  assert.deepEqual([answer.choices[0]?.message.content, told, answer.usage], ["so", ["so"], usage]);
  assert.deepEqual(answer.choices[0]?.message.tool_calls, [toolCall("c1", "calculator")]);
  assert.equal(server.seen.length, 1);
});

test("42. an error in a stream is thrown from the iterator", async (t) => {
  const error = { message: "the provider broke off", type: "upstream_error", code: "provider_cut" };
  const server = await answering(t, {
    events: [chunk({ content: "x" }), { error, choices: [] }, chunk({ content: "y" })],
  });
  const seen: unknown[] = [];
  const thrown = await failure(
    (async () => {
      for await (const one of clientOf(server).chat.completions.stream(HELLO)) seen.push(one);
    })(),
  );
  assert.equal(seen.length, 1);
  assert.deepEqual(
    [thrown.status, thrown.code, thrown.errorCode, thrown.body],
    [200, "unknown", "provider_cut", error],
  );
});

test("a fetch that cannot stream gives whole answers, and says that it cannot stream", async (t) => {
  const server = await answering(t, chatAnswer({ content: "whole" }));
  const fetch = async (...call: Parameters<typeof globalThis.fetch>): Promise<any> => {
    const response = await globalThis.fetch(...call);
    const { ok, status } = response;
    return { ok, status, headers: new Headers(), text: () => response.text() };
  };
  const client = clientOf(server, { fetch });
  const answer = await client.chat.completions.create({ ...HELLO, tools: [] });
  assert.equal(answer.choices[0]?.message.content, "whole");
  assert.match((await failure(collect(client.chat.completions.stream(HELLO)))).message, /ReadableStream/);
  const empty = clientOf(server, { fetch: async () => new Response(null) });
  assert.deepEqual(await collect(empty.chat.completions.stream(HELLO)), []);
});

test("a stream that nobody reads is not asked for", async (t) => {
  const server = await endless(t);
  clientOf(server).chat.completions.stream(HELLO);
  await pause(20);
  assert.equal(server.seen.length, 0);
});

test("an option of one call goes before the client's", async (t) => {
  const server = await silent(t, "", false);
  const error = await failure(
    clientOf(server, { timeoutMs: 60_000 }).chat.completions.create({ ...HELLO, tools: [] }, { timeoutMs: 20 }),
  );
  assert.equal(error.code, "timeout");
});

test("who wants a hung-up stream to be read to its end says so", async (t) => {
  const server = await answering(t, { events: [chunk({ content: "x" }, "stop")] });
  await collect(clientOf(server).chat.completions.stream(HELLO, { onDisconnect: "finish", idempotencyKey: "k-1" }));
  assert.equal(server.seen[0]?.headers["x-joytoken-on-disconnect"], "finish");
  assert.equal(server.seen[0]?.headers["idempotency-key"], "k-1");
});

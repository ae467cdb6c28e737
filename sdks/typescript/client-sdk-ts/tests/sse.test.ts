import assert from "node:assert/strict";
import { test } from "node:test";
import { EVENT_UNITS_MAX, EventReader } from "../dist/sse.js";
import { clientOf, collect, failure, fakeServer, HELLO } from "./fake-server.js";
import { eachVector, isParts, joined, type Vector } from "./vectors.js";

/** The data of all events of a body that comes in these pieces. */
function read(pieces: Uint8Array[]): string[] {
  const reader = new EventReader();
  const all: string[] = [];
  for (const piece of pieces) all.push(...reader.read(piece));
  all.push(...reader.end());
  return all;
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A body as a client reads it, in pieces of so many bytes. */
async function streamed(body: Uint8Array, size: number): Promise<{ events: unknown[]; error?: any }> {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < body.length; at += size) pieces.push(body.subarray(at, at + size));
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      const piece = pieces.shift();
      if (piece === undefined) controller.close();
      else controller.enqueue(piece);
    },
  });
  const fetch = async () => new Response(stream, { headers: { "content-type": "text/event-stream" } });
  const client = clientOf({ url: "http://gateway.test", seen: [] }, { fetch });
  const events: unknown[] = [];
  try {
    for await (const event of client.responses.stream({ model: "auto", input: "hi", tools: [] })) events.push(event);
    return { events };
  } catch (error) {
    return { events, error };
  }
}

function check({ events, error }: { events: any[]; error?: any }, expect: Vector["expect"]): void {
  if (expect.events.$count !== undefined) assert.equal(events.length, expect.events.$count);
  else {
    assert.equal(events.length, expect.events.length);
    expect.events.forEach((wanted: any, index: number) => {
      if (isParts(wanted.t)) assert.equal(events[index].t, joined(wanted.t));
      else if (wanted.t?.some?.((part: any) => part.$count)) assert.equal(events[index].t.length, wanted.t[0].$count);
      else if (wanted.t?.$count !== undefined) assert.equal(events[index].t.length, wanted.t.$count);
      else assert.deepEqual(events[index], wanted);
    });
  }
  if (expect.error === undefined) assert.equal(error, undefined);
  else assert.match(error.message, /is not JSON/);
}

eachVector("sse", async (vector) => {
  if (vector.expect.error === "api" || vector.name === "an error that is null") return; // of chats: see below
  const body = bytesOf(joined(vector.input));
  const sizes = body.length > 4096 ? [body.length, 65_521, 4093] : Array.from(body, (_, index) => index + 1);
  for (const size of sizes.length > 0 ? sizes : [1]) check(await streamed(body, size), vector.expect);
});

eachVector("sse", async (vector, t) => {
  if (vector.expect.error !== "api") return;
  const server = await fakeServer(t, (_, response) => {
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.end(joined(vector.input));
  });
  const chunks: unknown[] = [];
  const error = await failure(
    (async () => {
      for await (const chunk of clientOf(server).chat.completions.stream(HELLO)) chunks.push(chunk);
    })(),
  );
  assert.equal(chunks.length, vector.expect.events.length);
  assert.equal(error.message, `JoyToken Chat stream error: ${vector.expect.message}`);
  assert.equal(error.errorType ?? null, vector.expect.type);
  assert.equal(error.errorCode ?? null, vector.expect.reason);
  assert.deepEqual([error.status, error.code], [200, "unknown"]);
});

test("39. an event of 70 KiB parses, and one over two data lines, cut at every byte", () => {
  const long = "x".repeat(70 * 1024);
  assert.deepEqual(read([bytesOf(`data: {"t": "${long}"}\n\n`)]), [`{"t": "${long}"}`]);
  const body = bytesOf('\ufeffdata: {"ä":\r\ndata: "漢"}\r\n\r\ndata: 😀\r\r: hm\n\ndata:1\n\n');
  for (let cut = 0; cut <= body.length; cut++) {
    assert.deepEqual(read([body.subarray(0, cut), body.subarray(cut)]), ['{"ä":\n"漢"}', "😀", "1"]);
    const twice = [body.subarray(0, cut), body.subarray(cut, cut + 1), body.subarray(cut + 1)];
    assert.deepEqual(read(twice), ['{"ä":\n"漢"}', "😀", "1"]);
  }
});

test("an event without an end is not read for ever, and the error says why", () => {
  const reader = new EventReader();
  const piece = new Uint8Array(1 << 20).fill(120);
  const feed = (): void => {
    for (let at = 0; at <= EVENT_UNITS_MAX; at += piece.length) [...reader.read(piece)];
  };
  assert.throws(feed, /stream event is over 16 MiB/);
});

test("an event of many small pieces takes as long as its length, not its square", () => {
  // 4 MiB in pieces of 16 bytes: a quarter of a million joins of the whole would not end within the test's time.
  const reader = new EventReader();
  const piece = bytesOf("0123456789abcdef");
  [...reader.read(bytesOf('data: "'))];
  for (let at = 0; at < 4 << 20; at += piece.length) [...reader.read(piece)];
  assert.equal([...reader.read(bytesOf('"\n\n'))][0]?.length, (4 << 20) + 2);
});

test("comments keep a quiet stream open without ever being too much", () => {
  const reader = new EventReader();
  const comment = bytesOf(`: ${"x".repeat(65_536)}\n`);
  for (let at = 0; at < 2 * EVENT_UNITS_MAX; at += comment.length) assert.deepEqual([...reader.read(comment)], []);
  assert.deepEqual([...reader.read(bytesOf("data: 1\n\n"))], ["1"]);
});

test("two streams that are read in turns do not disturb each other", () => {
  const one = new EventReader().read(bytesOf("data: 1\n\ndata: 2\n\n"));
  const other = new EventReader().read(bytesOf("data: a\n\ndata: b\n\ndata: c\n\n"));
  const seen = [one.next(), other.next(), other.next(), one.next(), other.next(), one.next()];
  assert.deepEqual(
    seen.map(({ value }) => value),
    ["1", "a", "b", "2", "c", undefined],
  );
});

test("an answer of JSON where a stream was asked for is an error", async (t) => {
  const server = await fakeServer(t, (_, response) => {
    response.writeHead(200, { "Content-Type": "application/json" });
    response.end('{"choices": []}');
  });
  const error = await failure(collect(clientOf(server).chat.completions.stream(HELLO)));
  assert.match(error.message, /where a stream was asked for/);
});

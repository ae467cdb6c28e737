import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { JoyTokenClient, type JoyTokenClientOptions } from "@joytoken/client-sdk-ts";

export const KEY = "jt_test_0123456789abcdef";

/** A request that came. */
export interface Seen {
  method: string;
  path: string;
  headers: IncomingHttpHeaders;
  body: any;
  /** Settles when the peer is gone, or the answer was sent whole. */
  closed: Promise<void>;
}

type Handler = (request: Seen, response: ServerResponse, number: number) => void | Promise<void>;

export interface FakeServer {
  url: string;
  seen: Seen[];
}

/** A server on loopback that ends with its test. */
export async function fakeServer(t: TestContext, handler: Handler): Promise<FakeServer> {
  const seen: Seen[] = [];
  const server = createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const text = Buffer.concat(pieces).toString("utf8");
    const closed = new Promise<void>((resolve) => response.on("close", resolve));
    const one: Seen = {
      method: request.method ?? "",
      path: request.url ?? "",
      headers: request.headers,
      body: text === "" ? undefined : JSON.parse(text),
      closed,
    };
    seen.push(one);
    await handler(one, response, seen.length);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

/** What a server answers: JSON, or a stream of events. */
export interface Answer {
  status?: number;
  headers?: Record<string, string>;
  json?: unknown;
  text?: string;
  events?: unknown[];
  /** Whether the stream ends with `[DONE]`: true unless said otherwise. */
  done?: boolean;
}

export function send(response: ServerResponse, answer: Answer): void {
  const { status = 200, headers = {}, json, text, events, done = true } = answer;
  if (events !== undefined) {
    response.writeHead(status, { "Content-Type": "text/event-stream", ...headers });
    for (const event of events)
      response.write(typeof event === "string" ? event : `data: ${JSON.stringify(event)}\n\n`);
    response.end(done ? "data: [DONE]\n\n" : "");
    return;
  }
  response.writeHead(status, { "Content-Type": "application/json", ...headers });
  response.end(text ?? (json === undefined ? "" : JSON.stringify(json)));
}

/** A server that gives one answer after the other; the last one stays. */
export function answering(t: TestContext, ...answers: Answer[]): Promise<FakeServer> {
  return fakeServer(t, (_, response, number) => send(response, answers[Math.min(number, answers.length) - 1] ?? {}));
}

/** A client of a fake server. The environment says nothing. */
export function clientOf(server: FakeServer, options: JoyTokenClientOptions = {}): JoyTokenClient {
  return new JoyTokenClient({ apiKey: KEY, apiBaseUrl: server.url, openAIBaseUrl: server.url, ...options });
}

export const HELLO = { model: "auto", messages: [{ role: "user" as const, content: "hi" }] };

/** A chat completion with a text, or with tool calls. */
export function chatAnswer(message: Record<string, unknown>, finish_reason = "stop"): Answer {
  const choices = [{ index: 0, message: { role: "assistant", content: null, ...message }, finish_reason }];
  return { json: { id: "chatcmpl-1", object: "chat.completion", created: 1, model: "stub/a", choices } };
}

export function toolCall(id: string, name: string, input: unknown = {}, more: object = {}): Record<string, unknown> {
  return { id, type: "function", function: { name, arguments: JSON.stringify(input) }, ...more };
}

/** A chunk of a chat stream. */
export function chunk(delta: Record<string, unknown>, finish_reason: string | null = null, more: object = {}): object {
  const choices = [{ index: 0, delta, finish_reason }];
  return { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "stub/a", choices, ...more };
}

/** All that a stream gives. */
export async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const one of stream) all.push(one);
  return all;
}

/** The error that a promise is rejected with. */
export async function failure(work: Promise<unknown>): Promise<any> {
  try {
    await work;
  } catch (error) {
    return error;
  }
  throw new Error("it did not fail");
}

import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";

/** A request that came. */
export interface Seen {
  path: string;
  headers: IncomingHttpHeaders;
  body: any;
}

/** What is answered: a JSON value, or the events of a stream. */
export interface Answer {
  status?: number;
  json?: unknown;
  events?: unknown[];
}

/** A gateway on loopback that gives one answer after the other, and ends with its test; and what it was asked. */
export async function fakeGateway(t: TestContext, ...answers: Answer[]): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = createServer(async (request, response) => {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    seen.push({ path: request.url ?? "", headers: request.headers, body: JSON.parse(Buffer.concat(pieces).toString()) });
    const { status = 200, json, events } = answers[seen.length - 1] ?? { status: 500, json: {} };
    response.writeHead(status, { "Content-Type": events === undefined ? "application/json" : "text/event-stream" });
    for (const event of events ?? []) response.write(`data: ${JSON.stringify(event)}\n\n`);
    response.end(events === undefined ? JSON.stringify(json) : "data: [DONE]\n\n");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

/** A chat completion. */
export function completion(message: object, more: object = {}): Answer {
  const choices = [{ index: 0, message: { role: "assistant", content: null, ...message }, finish_reason: "stop" }];
  return { json: { id: "chatcmpl-1", object: "chat.completion", created: 1, model: "m", choices, ...more } };
}

/** A chunk of a chat stream. */
export function chunk(delta: object, more: object = {}): object {
  return { id: "chatcmpl-1", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta }], ...more };
}

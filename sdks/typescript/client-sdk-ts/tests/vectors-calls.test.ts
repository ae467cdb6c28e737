import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import {
  JoyTokenAPIError,
  JoyTokenClient,
  type CallOptions,
  type JoyTokenClientOptions,
} from "@joytoken/client-sdk-ts";
import { retryDelayMs } from "../dist/retry.js";
import {
  answering,
  chatAnswer,
  clientOf,
  collect,
  fakeServer,
  failure,
  HELLO,
  KEY,
  send,
  type Answer,
} from "./fake-server.js";
import { eachVector, type Vector } from "./vectors.js";

const USER_AGENT = "joytoken-client-sdk-ts/0.2.0";
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const VARIABLES = ["API_KEY", "API_BASE_URL", "OPENAI_BASE_URL", "ANTHROPIC_BASE_URL"].map(
  (name) => `JOY_TOKEN_${name}`,
);

for (const name of VARIABLES) delete process.env[name];

/** A call by the name that the vectors give it. */
function call(
  client: JoyTokenClient,
  name: string,
  request: any,
  options: CallOptions,
  locale?: any,
): Promise<unknown> {
  switch (name) {
    case "chat":
      return client.chat.completions.create(request, options);
    case "chat_stream":
      return collect(client.chat.completions.stream(request, options));
    case "responses":
      return client.responses.create(request, options);
    case "responses_stream":
      return collect(client.responses.stream(request, options));
    case "messages":
      return client.messages.create(request, options);
    case "messages_stream":
      return collect(client.messages.stream(request, options));
    case "images_generate":
      return client.images.generate(request, options);
    case "images_edit":
      return client.images.edit(request, options);
    case "models":
      return client.models.list({ locale }, options);
    case "models_meta":
      return client.models.meta(options);
    case "pricing":
      return client.pricing.retrieve(options);
    default:
      throw new Error(`the vectors have a call that is not known here: ${name}`);
  }
}

/** An answer that suits every call. */
const ANSWER = { json: { choices: [], data: [], output: [] } };

function optionsOf(input: Vector["input"]): [JoyTokenClientOptions, CallOptions] {
  const { key, default_headers: defaultHeaders, headers, idempotency, idempotency_key: idempotencyKey, run } = input;
  return [
    { apiKey: key === null ? "" : (key ?? KEY), defaultHeaders, idempotency },
    { headers, idempotencyKey, run },
  ];
}

async function sent(t: TestContext, input: Vector["input"]) {
  const stream = input.call.endsWith("_stream");
  const server = await answering(t, stream ? { events: [] } : ANSWER);
  const [options, perCall] = optionsOf(input);
  const request = input.request ?? { ...HELLO, tools: [] };
  const work = call(clientOf(server, options), input.call, request, perCall, input.locale);
  const error = await work.then(
    () => undefined,
    (reason: Error) => reason,
  );
  return { seen: server.seen, error };
}

eachVector("headers", async ({ input, expect }, t) => {
  const { seen, error } = await sent(t, input);
  assert.equal(error, undefined);
  const headers = seen[0]?.headers ?? {};
  for (const [name, value] of Object.entries<string>(expect.present)) {
    const got = headers[name.toLowerCase()];
    if (value === "{uuid}") assert.match(String(got), UUID, name);
    else assert.equal(got, value.replace("{key}", KEY).replace("{user_agent}", USER_AGENT), name);
  }
  for (const name of expect.absent) assert.equal(headers[name.toLowerCase()], undefined, name);
});

eachVector("hostile-headers", async ({ input }, t) => {
  const { seen, error } = await sent(t, input);
  assert.equal(seen.length, 0);
  assert.ok(error instanceof Error);
  for (const secret of [KEY, "Evil: 1", "jt_live_x"]) assert.ok(!`${error.stack}`.includes(secret), error.message);
});

eachVector("validation", async ({ input, expect }, t) => {
  const { seen, error } = await sent(t, input);
  assert.equal(seen.length > 0, expect.sent, error?.message);
  if (!expect.sent) assert.ok(error?.message.toLowerCase().includes(expect.error.toLowerCase()), error?.message);
});

eachVector("model-lists", async ({ input, expect }, t) => {
  const list = clientOf(await answering(t, { json: input })).models.list();
  if (Array.isArray(expect)) assert.deepEqual((await list).data.models, expect);
  else assert.match((await failure(list)).message, new RegExp(expect.error));
});

eachVector("errors", async ({ status, headers, body, expect }, t) => {
  const raw = body === null ? "" : (body?.$json ?? (typeof body === "string" ? body : JSON.stringify(body)));
  const client = clientOf(await answering(t, { status, headers, text: raw }));
  const error = await failure(client.chat.completions.create({ ...HELLO, tools: [] }));
  assert.ok(error instanceof JoyTokenAPIError);
  assert.equal(error.name, "JoyTokenAPIError");
  assert.equal(error.status, status);
  assert.equal(error.code, expect.code);
  assert.equal(error.errorType ?? null, expect.type);
  assert.equal(error.errorCode ?? null, expect.reason);
  assert.equal(error.requestId ?? null, expect.request_id);
  if (expect.message !== undefined) assert.equal(error.message, expect.message);
});

eachVector("base-url-precedence", ({ options, env, expect }) => {
  Object.assign(process.env, env);
  try {
    const { apiBaseUrl, openAIBaseUrl } = new JoyTokenClient(options);
    assert.deepEqual({ apiBaseUrl, openAIBaseUrl }, expect);
  } finally {
    for (const name of VARIABLES) delete process.env[name];
  }
});

eachVector("idempotency-keys", async ({ input, expect }, t) => {
  if (input.key === undefined) return; // those of a run are the Agent SDK's
  const calls = { tool_calls: [{ id: "c", type: "function", function: { name: "calculator", arguments: "{}" } }] };
  const turns: Answer[] = Array.from({ length: input.call - 1 }, () => chatAnswer(calls, "tool_calls"));
  const server = await answering(t, ...turns, chatAnswer({ content: "done" }));
  await clientOf(server, { toolMaxSteps: 20 }).chat.completions.create(HELLO, { idempotencyKey: input.key });
  assert.equal(server.seen.length, input.call);
  assert.equal(server.seen[input.call - 1]?.headers["idempotency-key"], expect);
});

/** The failure of one attempt, by what a real server does. */
async function failed(t: TestContext, input: Vector["input"]): Promise<unknown> {
  const options: CallOptions = { maxRetries: 0 };
  const server = await fakeServer(t, (_, response) => {
    switch (input.transport) {
      case "cut":
        return void response.destroy();
      case "cut_in_stream":
        response.writeHead(200, { "Content-Type": "text/event-stream" });
        response.write('data: {"choices": []}\n\n');
        return void setTimeout(() => response.destroy(), 5);
      case "timeout":
      case "cancelled":
        return;
      default:
        send(response, { status: input.status, headers: headersOf(input), json: input.body });
    }
  });
  if (input.transport === "refused") server.url = await nobody();
  if (input.transport === "timeout") options.timeoutMs = 20;
  if (input.transport === "cancelled") options.signal = AbortSignal.timeout(20);
  return failure(call(clientOf(server), input.call, { ...HELLO, tools: [] }, options));
}

/** An address where nobody listens. */
async function nobody(): Promise<string> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return `http://127.0.0.1:${port}`;
}

function headersOf(input: Vector["input"]): Record<string, string> {
  if (input.retry_after_date_in_s === undefined) return input.headers ?? {};
  return { "Retry-After": new Date(Date.now() + input.retry_after_date_in_s * 1000).toUTCString() };
}

eachVector("retries", async ({ input, expect }, t) => {
  const error = await failed(t, input);
  const policy = { maxRetries: input.max_retries, repeatable: !input.call.endsWith("_stream") };
  for (const random of [0, 0.5, 1]) {
    const delay = retryDelayMs(error, input.attempt, policy, () => random);
    assert.equal(delay !== undefined, expect.retry);
    if (delay === undefined) continue;
    assert.ok(delay >= expect.delay_ms_min && delay <= expect.delay_ms_max, String(delay));
  }
});

test("retries happen, under one idempotency key, and end at maxRetries", async (t) => {
  const away = { status: 503, headers: { "Retry-After": "0" }, json: { error: { message: "away" } } };
  const server = await answering(t, away, away, chatAnswer({ content: "here" }));
  const answer = await clientOf(server, { maxRetries: 2 }).chat.completions.create({ ...HELLO, tools: [] });
  assert.equal(answer.choices[0]?.message.content, "here");
  const keys = server.seen.map(({ headers }) => headers["idempotency-key"]);
  assert.equal(keys.length, 3);
  assert.match(String(keys[0]), UUID);
  assert.equal(new Set(keys).size, 1);
  const other = await answering(t, away);
  await failure(clientOf(other, { maxRetries: 1 }).chat.completions.create({ ...HELLO, tools: [] }));
  assert.equal(other.seen.length, 2);
});

test("a caller who cancels during the pause is not kept waiting", async (t) => {
  const server = await answering(t, { status: 503, headers: { "Retry-After": "8" } });
  const caller = new AbortController();
  const work = failure(
    clientOf(server, { maxRetries: 5 }).chat.completions.create({ ...HELLO, tools: [] }, { signal: caller.signal }),
  );
  while (server.seen.length === 0) await pause(5);
  await pause(50);
  const reason = new Error("enough");
  caller.abort(reason);
  assert.equal(await work, reason);
  assert.equal(server.seen.length, 1);
});

test("without an idempotency key only what cannot have been paid is repeated", async (t) => {
  const server = await fakeServer(t, (_, response) => void response.destroy());
  const client = clientOf(server, { maxRetries: 3, idempotency: false });
  const error = await failure(client.chat.completions.create({ ...HELLO, tools: [] }));
  assert.equal(error.code, "network");
  assert.equal(server.seen.length, 1);
});

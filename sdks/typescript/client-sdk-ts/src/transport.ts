import { Attempt } from "./attempt.js";
import { givenIdempotencyKey, headersOf } from "./headers.js";
import { isObject } from "./json.js";
import { randomUuid } from "./random-uuid.js";
import { retryDelayMs, type RetryPolicy } from "./retry.js";
import { headersWithoutSecret, withoutSecret } from "./secret.js";
import { sleep } from "./sleep.js";
import { EventReader } from "./sse.js";
import type { JoyTokenErrorContext } from "./types/error.js";
import type { CallOptions } from "./types/options.js";

/** How long the end of a stream is waited for after its last event, so that the connection can be used again. */
const REST_MS_MAX = 1_000;

/** What a client gives to each of its calls. */
export interface TransportSettings {
  apiKey: string | undefined;
  fetch: typeof globalThis.fetch;
  defaultHeaders: Record<string, string>;
  timeoutMs: number;
  maxRetries: number;
  idempotency: boolean;
}

/** One logical call: it stays the same over its retries. */
export interface Call {
  method: "GET" | "POST";
  url: string;
  body?: unknown;
  /** Whether it can cost credits, and so must not be done twice. */
  paid: boolean;
  /** Whether it is refused without a key: true unless said otherwise. */
  keyRequired?: boolean;
  options: CallOptions;
  /** Which request of a tool loop this is, from 1. */
  requestNumber?: number;
  context?: JoyTokenErrorContext | undefined;
}

/** An answer or an event, with the head of the HTTP response that it came with. */
export interface Received {
  value: unknown;
  status: number;
  headers: Headers;
}

interface Opened {
  response: Response;
  attempt: Attempt;
  /** The text of an answer that is no stream. */
  text: string | undefined;
}

/** Sends calls: headers, time, retries, bounds. */
export class Transport {
  readonly #settings: TransportSettings;

  constructor(settings: TransportSettings) {
    this.#settings = settings;
  }

  /** Send a call and read its whole answer, which is JSON. */
  json(call: Call): Promise<Received> {
    return this.#attempts(call, false, async (headers) => {
      const attempt = this.#attempt(call);
      try {
        const response = await this.#send(attempt, call, headers);
        const text = await attempt.text(response);
        const value = this.#parsed(text, (json) => parseAnswer(json, attempt, response));
        return { value, ...this.#headOf(response) };
      } finally {
        attempt.close(false);
      }
    });
  }

  /**
   * Send a call and read the events of its answer, each of which is JSON. Who stops reading hangs up; the time is
   * counted anew with each piece that comes.
   */
  async *events(call: Call): AsyncGenerator<Received, void, undefined> {
    const { response, attempt, text } = await this.#attempts(call, true, (headers) => this.#open(call, headers));
    const head = this.#headOf(response);
    if (text !== undefined) {
      yield { value: parseFailedStream(this.#clean(text)), ...head };
      return;
    }
    const reader = readerOf(response, attempt);
    if (reader === undefined) return;
    const events = new EventReader();
    let rest: "unread" | "over" | "read" = "unread";
    try {
      while (rest === "unread") {
        attempt.restart();
        const { done, value } = await attempt.wait(() => reader.read());
        attempt.pause();
        for (const data of done ? events.end() : events.read(value)) {
          if (data.trim() === "[DONE]") {
            rest = done ? "read" : "over";
            return;
          }
          yield { value: this.#parsed(data, parseEvent), ...head };
          attempt.throwIfEnded(); // what came in one piece is not gone through to its end
        }
        if (done) rest = "read";
      }
    } finally {
      if (rest === "over") void readRest(reader, attempt);
      else hangUp(reader, attempt, rest === "unread");
    }
  }

  /** Parse an answer or event. One that holds an error becomes the body of an error, and so must not tell the key. */
  #parsed(text: string, parse: (text: string) => unknown): unknown {
    const clean = this.#clean(text);
    if (clean === text) return parse(text);
    const value = parse(clean);
    return isObject(value) && value["error"] ? value : parse(text);
  }

  #clean(text: string): string {
    return withoutSecret(text, this.#settings.apiKey);
  }

  #headOf({ status, headers }: Response): Pick<Received, "status" | "headers"> {
    return { status, headers: headersWithoutSecret(headers, this.#settings.apiKey) };
  }

  async #open(call: Call, headers: Headers): Promise<Opened> {
    const attempt = this.#attempt(call);
    try {
      const response = await this.#send(attempt, call, headers);
      if (!response.headers.get("content-type")?.toLowerCase().includes("application/json")) {
        return { response, attempt, text: undefined };
      }
      const text = await attempt.text(response);
      attempt.close(false);
      return { response, attempt, text };
    } catch (error) {
      attempt.close(true);
      throw error;
    }
  }

  #send(attempt: Attempt, call: Call, headers: Headers): Promise<Response> {
    const body = call.body === undefined ? {} : { body: JSON.stringify(call.body) };
    return attempt.send(call.url, { method: call.method, headers, ...body });
  }

  #attempt({ options, context }: Call): Attempt {
    const { fetch, apiKey } = this.#settings;
    const { signal, onResponse, timeoutMs = this.#settings.timeoutMs } = options;
    return new Attempt({ fetch, apiKey, context, signal, onResponse, timeoutMs });
  }

  async #attempts<T>(call: Call, stream: boolean, once: (headers: Headers) => Promise<T>): Promise<T> {
    const { apiKey, defaultHeaders: defaults, maxRetries } = this.#settings;
    const { options, paid } = call;
    if (apiKey === undefined && call.keyRequired !== false) {
      throw new Error("JoyToken API key is required. Pass apiKey or set JOY_TOKEN_API_KEY.");
    }
    const idempotencyKey = paid ? this.#idempotencyKey(call) : undefined;
    const headers = headersOf({ apiKey, defaults, options, stream, paid, idempotencyKey });
    const policy: RetryPolicy = {
      maxRetries: options.maxRetries ?? maxRetries,
      repeatable: !paid || (!stream && idempotencyKey !== undefined),
    };
    for (let attempt = 0; ; attempt++) {
      options.signal?.throwIfAborted();
      try {
        return await once(new Headers(headers));
      } catch (error) {
        const delayMs = retryDelayMs(error, attempt, policy);
        if (delayMs === undefined || options.signal?.aborted) throw error;
        await sleep(delayMs, options.signal);
      }
    }
  }

  /** The caller's key, with the number of the request behind it from the second of a loop on; else a random one. */
  #idempotencyKey({ options, requestNumber = 1 }: Call): string | undefined {
    const { defaultHeaders, idempotency } = this.#settings;
    const given = givenIdempotencyKey(defaultHeaders, options);
    if (given !== undefined) return requestNumber > 1 ? `${given}:${requestNumber}` : given;
    return idempotency ? randomUuid() : undefined;
  }
}

function parseAnswer(text: string, attempt: Attempt, response: Response): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw attempt.error(() => `JoyToken API answered with status ${response.status} and no JSON`, response, text);
  }
}

function parseEvent(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    throw new Error(`JoyToken stream event is not JSON: ${JSON.stringify(data.slice(0, 100))}`);
  }
}

/** The error that came, as one JSON document, where a stream was asked for. */
function parseFailedStream(text: string): unknown {
  const value = parseEvent(text);
  if (isObject(value) && value["error"]) return value;
  throw new Error("JoyToken API answered with one JSON document where a stream was asked for");
}

type Reader = ReadableStreamDefaultReader<Uint8Array>;

/** What reads a stream; undefined where it is empty. */
function readerOf(response: Response, attempt: Attempt): Reader | undefined {
  const body = response.body as Response["body"] | undefined;
  if (body) return body.getReader();
  attempt.close(false);
  if (body === null) return undefined;
  throw new Error("JoyToken streams need a fetch that gives the body as a ReadableStream");
}

function hangUp(reader: Reader, attempt: Attempt, abort: boolean): void {
  attempt.close(abort);
  if (abort) reader.cancel().catch(() => undefined);
}

/** Read what comes after the last event, which is nothing but the end; a server that does not end is hung up on. */
async function readRest(reader: Reader, attempt: Attempt): Promise<void> {
  const timer = setTimeout(() => hangUp(reader, attempt, true), REST_MS_MAX);
  try {
    while (!(await attempt.wait(() => reader.read())).done);
    hangUp(reader, attempt, false);
  } catch {
    hangUp(reader, attempt, true);
  } finally {
    clearTimeout(timer);
  }
}

import { isNode } from "./environment.js";
import type { CallOptions, RunOptions } from "./types/options.js";
import { USER_AGENT } from "./version.js";

const IDEMPOTENCY_KEY = "Idempotency-Key";
const ON_DISCONNECT = "X-JoyToken-On-Disconnect";

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const VISIBLE = /^[\x21-\x7e]+$/;
const DECIMAL = /^\d+(?:\.\d+)?$/;

/** What the headers of one attempt are made of. */
export interface HeaderParts {
  apiKey: string | undefined;
  defaults: Record<string, string>;
  options: CallOptions;
  stream: boolean;
  /** Whether a hang-up is worth a word: the call is paid. */
  paid: boolean;
  idempotencyKey: string | undefined;
}

/**
 * The headers of a call: the client's, the call's own, then what is missing, and authentication last, which nothing
 * else can change.
 *
 * @throws Error that names the header, and never has its value, where one could not be sent as it is.
 */
export function headersOf(parts: HeaderParts): Headers {
  const headers = new Headers();
  for (const given of [parts.defaults, parts.options.headers ?? {}]) {
    for (const [name, value] of Object.entries(given)) {
      if (value !== undefined && value !== null) setHeader(headers, name, String(value));
    }
  }
  if (parts.stream) headers.set("Accept", "text/event-stream");
  if (isNode() && !headers.has("User-Agent")) headers.set("User-Agent", USER_AGENT);
  if (!headers.has("Accept")) headers.set("Accept", "application/json");
  if (!headers.has("Content-Type")) headers.set("Content-Type", "application/json");
  if (parts.paid) setPaid(headers, parts);
  if (parts.options.run !== undefined) setRun(headers, parts.options.run);
  headers.delete("x-api-key");
  headers.delete("Authorization");
  if (parts.apiKey !== undefined) setHeader(headers, "Authorization", `Bearer ${parts.apiKey}`);
  return headers;
}

/** The idempotency key that a caller gave, by whichever way. */
export function givenIdempotencyKey(defaults: Record<string, string>, options: CallOptions): string | undefined {
  const given = [options.headers ?? {}, defaults].flatMap((headers) => Object.entries(headers));
  return options.idempotencyKey ?? given.find(([name]) => name.toLowerCase() === IDEMPOTENCY_KEY.toLowerCase())?.[1];
}

function setPaid(headers: Headers, { idempotencyKey, options, stream }: HeaderParts): void {
  headers.delete(IDEMPOTENCY_KEY);
  if (idempotencyKey !== undefined) setVisible(headers, IDEMPOTENCY_KEY, idempotencyKey, 255);
  const { onDisconnect } = options;
  if (onDisconnect !== undefined) setHeader(headers, ON_DISCONNECT, onDisconnect);
  else if (stream && !headers.has(ON_DISCONNECT)) headers.set(ON_DISCONNECT, "stop");
}

function setRun(headers: Headers, run: RunOptions): void {
  setVisible(headers, "X-JoyToken-Run-Id", run.id, 128);
  if (run.parentId !== undefined) setVisible(headers, "X-JoyToken-Parent-Run-Id", run.parentId, 128);
  if (run.workflow !== undefined) setVisible(headers, "X-JoyToken-Workflow", run.workflow, 128);
  if (run.step !== undefined) setVisible(headers, "X-JoyToken-Step", String(run.step), 128);
  if (run.budget !== undefined) setBudget(headers, run.budget);
}

function setBudget(headers: Headers, budget: string | number): void {
  // A number such as 1e-7 is spelled out, for the gateway reads decimals; below a nanocredit there is nothing.
  const text = typeof budget === "number" && budget < 1e21 ? budget.toFixed(9).replace(/\.?0+$/, "") : String(budget);
  if (!DECIMAL.test(text)) {
    throw new Error('Header X-JoyToken-Run-Budget must be a decimal number of credits, such as "0.5".');
  }
  setVisible(headers, "X-JoyToken-Run-Budget", text, 128);
}

function setVisible(headers: Headers, name: string, value: string, charactersMax: number): void {
  if (typeof value !== "string" || value.length > charactersMax || !VISIBLE.test(value)) {
    throw new Error(`Header ${name} must be 1 to ${charactersMax} visible ASCII characters.`);
  }
  headers.set(name, value);
}

function setHeader(headers: Headers, name: string, value: string): void {
  if (!NAME.test(name)) throw new Error(`Header ${JSON.stringify(name.slice(0, 100))} is no name of a header.`);
  if (!VALUE.test(value)) {
    throw new Error(`Header ${name} must not have line ends, control characters or any beyond Latin-1.`);
  }
  headers.set(name, value);
}

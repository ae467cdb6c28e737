import { JoyTokenAPIError } from "./api-error.js";

const DELAY_MS_MAX = 8_000;
const JITTER_MS_FIRST = 500;

/** What may be repeated of a call. */
export interface RetryPolicy {
  maxRetries: number;
  /** Whether a repetition is paid once, whatever became of the first attempt: not so for streams, nor without a key. */
  repeatable: boolean;
}

/**
 * Milliseconds until the next attempt, or undefined where there is none.
 *
 * @param attempt the attempt that failed, from 0.
 * @param random gives a number from 0 to 1.
 */
export function retryDelayMs(
  error: unknown,
  attempt: number,
  policy: RetryPolicy,
  random: () => number = Math.random,
): number | undefined {
  if (!(attempt < policy.maxRetries) || !(error instanceof JoyTokenAPIError)) return undefined;
  if (!isTransient(error) && !(isTransport(error) && (policy.repeatable || wasRefused(error)))) return undefined;
  return (
    retryAfterMs(error.responseHeaders.get("retry-after")) ??
    random() * Math.min(JITTER_MS_FIRST * 2 ** attempt, DELAY_MS_MAX)
  );
}

/** An answer that says: not now. */
function isTransient({ status, errorCode }: JoyTokenAPIError): boolean {
  if (status === 429 || (status >= 500 && status <= 599)) return true;
  return status === 409 && errorCode === "idempotency_in_progress";
}

function isTransport({ code }: JoyTokenAPIError): boolean {
  return code === "network" || code === "timeout";
}

const NEVER_CONNECTED = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "UND_ERR_CONNECT_TIMEOUT"]);

/** Whether no connection came about, so that nothing can have been sent. Browsers do not tell. */
function wasRefused(error: unknown, depth = 0): boolean {
  if (!(error instanceof Error) || depth > 4) return false;
  return NEVER_CONNECTED.has((error as { code?: string }).code ?? "") || wasRefused(error.cause, depth + 1);
}

/** Seconds or a date, as milliseconds from now; 8 s at most. */
function retryAfterMs(value: string | null): number | undefined {
  const text = value?.trim() ?? "";
  if (/^\d+$/.test(text)) return Math.min(Number(text) * 1000, DELAY_MS_MAX);
  // A date has letters; whatever else Date.parse would take, such as "-5", is none.
  const date = /^[A-Za-z]{3,9},? /.test(text) ? Date.parse(text) : NaN;
  return Number.isNaN(date) ? undefined : Math.min(Math.max(date - Date.now(), 0), DELAY_MS_MAX);
}

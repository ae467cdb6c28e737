import { errorCodeOf, errorMessageOf, JoyTokenAPIError, requestIdOf } from "./api-error.js";
import { ANSWER_BYTES_MAX, ERROR_BYTES_MAX, parseBody, readText } from "./body.js";
import { Deadline } from "./deadline.js";
import { causeWithoutSecret, headersWithoutSecret, withoutSecret } from "./secret.js";
import type { JoyTokenErrorContext } from "./types/error.js";
import type { CallOptions } from "./types/options.js";

/** What one attempt is made with. */
export interface AttemptSettings {
  fetch: typeof globalThis.fetch;
  timeoutMs: number;
  signal: AbortSignal | undefined;
  /** Kept out of every error. */
  apiKey: string | undefined;
  context: JoyTokenErrorContext | undefined;
  onResponse: CallOptions["onResponse"];
}

/** One attempt of a call. Whatever fails in it is thrown as the caller's own reason, or as a `JoyTokenAPIError`. */
export class Attempt {
  readonly #settings: AttemptSettings;
  readonly #deadline: Deadline;

  constructor(settings: AttemptSettings) {
    this.#settings = settings;
    this.#deadline = new Deadline(settings.timeoutMs, () => this.#timeout(), settings.signal);
  }

  /** Begin to count the time anew. */
  restart(): void {
    this.#deadline.restart();
  }

  /** Count no time until `restart`: it is the caller's own. */
  pause(): void {
    this.#deadline.pause();
  }

  /** Throw the caller's reason where the caller ended the call. */
  throwIfEnded(): void {
    this.#deadline.signal.throwIfAborted();
  }

  /** Count no more; `abort` hangs up. */
  close(abort: boolean): void {
    this.#deadline.close(abort);
  }

  /** Send the request; an answer that is an error is thrown. */
  async send(url: string, request: { method: string; headers: Headers; body?: string }): Promise<Response> {
    // The gateway never redirects. Another server would be sent the prompt, and a POST would become a GET.
    const init: RequestInit = { ...request, redirect: "manual", signal: this.#deadline.signal };
    const { fetch } = this.#settings;
    const response = await this.wait(() => fetch(url, init));
    const { status, headers } = response;
    this.#settings.onResponse?.({ status, requestId: requestIdOf(headers), headers });
    if (response.ok) return response;
    const text = await readText(response, ERROR_BYTES_MAX, true, (work) => this.wait(work));
    throw this.error((body) => errorMessageOf(body, response.status), response, text);
  }

  /** The text of a whole answer. */
  text(response: Response): Promise<string> {
    return readText(response, ANSWER_BYTES_MAX, false, (work) => this.wait(work));
  }

  /** Wait for one thing, no longer than there is time. */
  async wait<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await this.#deadline.race(work());
    } catch (error) {
      if (this.#deadline.signal.aborted) throw this.#deadline.signal.reason;
      throw this.#network(error);
    }
  }

  /** The error that an answer is. */
  error(message: (body: unknown) => string, response: Response, text: string): JoyTokenAPIError {
    const { apiKey, context } = this.#settings;
    const body = parseBody(withoutSecret(text, apiKey));
    return new JoyTokenAPIError(message(body), {
      status: response.status,
      code: errorCodeOf(response.status),
      requestId: requestIdOf(response.headers),
      responseHeaders: headersWithoutSecret(response.headers, apiKey),
      body,
      context,
    });
  }

  #network(cause: unknown): JoyTokenAPIError {
    const { apiKey } = this.#settings;
    const reason = withoutSecret(reasonOf(cause), apiKey);
    return this.#unanswered("network", `JoyToken API request failed: ${reason}`, causeWithoutSecret(cause, apiKey));
  }

  #timeout(): JoyTokenAPIError {
    return this.#unanswered("timeout", `JoyToken API request timed out after ${this.#settings.timeoutMs} ms`);
  }

  #unanswered(code: "network" | "timeout", message: string, cause?: unknown): JoyTokenAPIError {
    const { context } = this.#settings;
    return new JoyTokenAPIError(message, {
      status: 0,
      code,
      responseHeaders: new Headers(),
      body: undefined,
      context,
      cause,
    });
  }
}

/** What a failed connection says; `fetch` keeps the reason in the cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause as { code?: string; message?: string } | undefined;
  const detail = cause?.code ?? cause?.message;
  return detail ? `${error.message} (${detail})` : error.message;
}

/**
 * Ends what takes too long, and what its caller ends. `race` rejects as soon as that happens, also where what is waited
 * for does not listen to the signal.
 */
export class Deadline {
  readonly #controller = new AbortController();
  readonly #timeoutMs: number;
  readonly #expired: () => unknown;
  readonly #caller: AbortSignal | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #reject: ((reason: unknown) => void) | undefined;

  /** `timeoutMs` of 0 or less is no bound; `expired` makes the error. */
  constructor(timeoutMs: number, expired: () => unknown, caller: AbortSignal | undefined) {
    this.#timeoutMs = timeoutMs;
    this.#expired = expired;
    this.#caller = caller;
    if (caller?.aborted) this.#end(caller.reason);
    else caller?.addEventListener("abort", this.#onAbort);
    this.restart();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Begin to count anew. */
  restart(): void {
    clearTimeout(this.#timer);
    if (this.#timeoutMs > 0 && !this.signal.aborted) {
      this.#timer = setTimeout(() => this.#end(this.#expired()), Math.min(this.#timeoutMs, 2 ** 31 - 1));
    }
  }

  /** Count no time until `restart`. */
  pause(): void {
    clearTimeout(this.#timer);
  }

  /** Wait for one thing at a time. */
  race<T>(work: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.signal.aborted) reject(this.signal.reason);
      this.#reject = reject;
      work.then(resolve, reject);
    });
  }

  /** Count no more. `abort` also ends what still listens to the signal. */
  close(abort: boolean): void {
    clearTimeout(this.#timer);
    this.#caller?.removeEventListener("abort", this.#onAbort);
    this.#reject = undefined;
    if (abort) this.#controller.abort();
  }

  readonly #onAbort = (): void => this.#end(this.#caller?.reason);

  #end(reason: unknown): void {
    clearTimeout(this.#timer);
    this.#controller.abort(reason);
    this.#reject?.(reason);
  }
}

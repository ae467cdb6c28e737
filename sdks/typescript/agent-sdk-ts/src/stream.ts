import type { AgentEvent, AgentResult } from "./types.js";

type Begin = (onEvent: (event: AgentEvent) => void, signal: AbortSignal) => Promise<AgentResult>;

/** The events of a run as they come, to be read once. The last one has the result. */
export class AgentStream implements AsyncIterable<AgentEvent> {
  /** What the run comes to. It need not be awaited: a failure is thrown to who reads the events, too. */
  readonly result: Promise<AgentResult>;
  readonly #controller = new AbortController();
  readonly #events: AgentEvent[] = [];
  #ended = false;
  #wake: () => void = () => {};

  constructor(signal: AbortSignal | undefined, begin: Begin) {
    const stop = (): void => this.#controller.abort(signal?.reason);
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop, { once: true });
    this.result = begin((event) => this.#tell(event), this.#controller.signal).finally(() => {
      signal?.removeEventListener("abort", stop);
      this.#ended = true;
      this.#wake();
    });
    this.result.catch(() => {}); // thrown to who reads the events
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<AgentEvent, void, undefined> {
    try {
      for (;;) {
        const event = this.#events.shift();
        if (event !== undefined) {
          yield event;
        } else if (this.#ended) {
          await this.result;
          return;
        } else {
          await new Promise<void>((resolve) => (this.#wake = resolve));
        }
      }
    } finally {
      if (!this.#ended) this.#controller.abort(new Error("the events of the run are not read any more"));
    }
  }

  #tell(event: AgentEvent): void {
    this.#events.push(event);
    this.#wake();
  }
}

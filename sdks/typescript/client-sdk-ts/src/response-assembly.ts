import { isObject } from "./json.js";
import type { ToolRunStreamOptions } from "./types/options.js";
import type { Response, ResponseOutputItem, ResponseStreamEvent } from "./types/responses.js";

const TERMINAL = new Set(["response.completed", "response.incomplete", "response.failed"]);

/** Puts a response together from the events of its stream, and tells of its text meanwhile. */
export class ResponseAssembly {
  readonly #told: ToolRunStreamOptions;
  /** Items that are done, by their place in the output. */
  readonly #items = new Map<number, ResponseOutputItem>();
  #terminal: Response | undefined;

  constructor(told: ToolRunStreamOptions) {
    this.#told = told;
  }

  /** Take an event in; an `error` is thrown. */
  add(event: ResponseStreamEvent): void {
    if (event.type === "error") throw new Error(`JoyToken Responses stream error: ${reasonOf(event)}`);
    if (event.type === "response.output_text.delta" && event.delta) this.#told.onTextDelta?.(event.delta);
    if (event.type === "response.output_item.done" && event.item !== undefined) {
      this.#items.set(event.output_index ?? this.#items.size, event.item);
    }
    if (TERMINAL.has(event.type) && event.response !== undefined) this.#terminal = event.response;
  }

  /** The response; items that its last event left out are taken from those that were told before. */
  response(): Response {
    if (this.#terminal === undefined) {
      throw new Error("JoyToken Responses stream ended without a terminal response event.");
    }
    const places = new Map(this.#items);
    (this.#terminal.output ?? []).forEach((item, index) => places.set(index, item));
    const output = [...places].sort(([a], [b]) => a - b).map(([, item]) => item);
    return withOutputText({ ...this.#terminal, output });
  }
}

function reasonOf(event: ResponseStreamEvent): string {
  const error = isObject(event.error) ? event.error["message"] : event.error;
  return String(error ?? event["message"] ?? JSON.stringify(event));
}

/** Fill `output_text` in where the gateway leaves it out. */
export function withOutputText(response: Response): Response {
  if (response.output_text !== undefined || !Array.isArray(response.output)) return response;
  const parts = response.output.flatMap((item) => (Array.isArray(item?.content) ? item.content : []));
  const texts = parts.filter(({ type }) => type === "output_text").map(({ text }) => text ?? "");
  return { ...response, output_text: texts.join("") };
}

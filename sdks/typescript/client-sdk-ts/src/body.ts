/** The longest answer that is read: 64 MiB, which several images as base64 fit in. */
export const ANSWER_BYTES_MAX = 64 * 1024 * 1024;

/** How much of an answer is read that is an error. */
export const ERROR_BYTES_MAX = 1024 * 1024;

/** Waits for a piece, as long as there is time. */
export type Wait = <T>(work: () => Promise<T>) => Promise<T>;

/**
 * The text of a body.
 *
 * @param cut whether a longer one is cut, instead of being an error.
 * @throws Error where it is longer than `bytesMax`; the rest is not read.
 */
export async function readText(response: Response, bytesMax: number, cut: boolean, wait: Wait): Promise<string> {
  if (response.body === null) return "";
  const reader = (response.body as typeof response.body | undefined)?.getReader();
  if (reader === undefined) return bounded(await wait(() => response.text()), bytesMax, cut);
  const decoder = new TextDecoder();
  const pieces: string[] = [];
  let bytes = 0;
  let whole = false;
  try {
    while (!whole) {
      const { done, value } = await wait(() => reader.read());
      whole = done;
      if (value === undefined) continue;
      bytes += value.byteLength;
      if (bytes > bytesMax && !cut) throw tooLarge(bytesMax);
      pieces.push(decoder.decode(value, { stream: true }));
      if (bytes > bytesMax) break;
    }
    return pieces.join("") + decoder.decode();
  } finally {
    if (!whole) reader.cancel().catch(() => undefined);
  }
}

/** The text of a runtime whose `fetch` streams nothing, and so has read all of it already. */
function bounded(text: string, unitsMax: number, cut: boolean): string {
  if (text.length > unitsMax && !cut) throw tooLarge(unitsMax);
  return text.slice(0, unitsMax);
}

function tooLarge(bytesMax: number): Error {
  return new Error(`JoyToken answer is over ${bytesMax / 1024 / 1024} MiB`);
}

/** The JSON of a text; the text itself where it is none, undefined where it is empty. */
export function parseBody(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

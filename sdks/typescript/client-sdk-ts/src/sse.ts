/** The longest event of a stream, in UTF-16 units: a provider that never ends one is not read for ever. */
export const EVENT_UNITS_MAX = 16 * 1024 * 1024;

const LINE_END = /[\r\n]/g;
const BYTE_ORDER_MARK = "\ufeff";

/**
 * Cuts the bytes of a stream into the data of its events, wherever the pieces begin and end. Lines end with LF, CR or
 * CRLF; the `data` lines of an event are joined with LF, other fields and comments are left out.
 */
export class EventReader {
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  /** Pieces of the line that has not ended yet: joined once, so that a long line takes no longer than its length. */
  #line: string[] = [];
  #data: string[] = [];
  /** UTF-16 units of the event so far. */
  #units = 0;
  #afterReturn = false;
  #first = true;

  /** The data of the events that end in this piece. */
  *read(bytes: Uint8Array): Generator<string> {
    yield* this.#scan(this.#decoder.decode(bytes, { stream: true }));
  }

  /** The event that the end of the stream ends. */
  *end(): Generator<string> {
    yield* this.#scan(this.#decoder.decode());
    if (this.#line.length > 0) this.#endLine("");
    const data = this.#endEvent();
    if (data !== undefined) yield data;
  }

  *#scan(text: string): Generator<string> {
    let start = 0;
    if (this.#first && text !== "") {
      this.#first = false;
      if (text.startsWith(BYTE_ORDER_MARK)) start = 1;
    }
    if (this.#afterReturn && start < text.length) {
      this.#afterReturn = false;
      if (text[start] === "\n") start++;
    }
    LINE_END.lastIndex = start;
    for (let found = LINE_END.exec(text); found !== null; found = LINE_END.exec(text)) {
      const end = found.index;
      this.#count(end - start);
      const blank = this.#endLine(text.slice(start, end));
      start = end + 1;
      if (found[0] === "\r") {
        if (start === text.length) this.#afterReturn = true;
        else if (text[start] === "\n") start++;
      }
      if (blank) {
        const data = this.#endEvent();
        if (data !== undefined) yield data;
      }
      LINE_END.lastIndex = start; // a consumer may have read another stream meanwhile
    }
    if (start < text.length) {
      this.#count(text.length - start);
      this.#line.push(text.slice(start));
    }
  }

  /** Take a line in; whether it was blank. */
  #endLine(last: string): boolean {
    const line = this.#line.length === 0 ? last : this.#line.join("") + last;
    this.#line = [];
    if (line === "") return true;
    if (line === "data") this.#data.push("");
    else if (line.startsWith("data:")) this.#data.push(line.slice(line[5] === " " ? 6 : 5));
    else this.#units -= line.length; // comments may keep a quiet stream open for hours
    return false;
  }

  #endEvent(): string | undefined {
    const data = this.#data.join("\n");
    this.#data = [];
    this.#units = 0;
    return data === "" ? undefined : data;
  }

  #count(units: number): void {
    this.#units += units;
    if (this.#units > EVENT_UNITS_MAX) {
      throw new Error(`JoyToken stream event is over ${EVENT_UNITS_MAX / 1024 / 1024} MiB`);
    }
  }
}

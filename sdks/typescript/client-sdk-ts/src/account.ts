import type { Transport } from "./transport.js";
import type { KeyInfo, Receipt, RunTree } from "./types/account.js";
import type { CallOptions } from "./types/options.js";

const ID_CHARACTERS_MAX = 128;

/** `client.receipts`: what a request was and cost. */
export class Receipts {
  readonly #get: Get;

  constructor(transport: Transport, apiBaseUrl: string) {
    this.#get = getter(transport, apiBaseUrl);
  }

  /**
   * The receipt of a request, by the id that `callMetadata` and errors tell. It is there within a moment of the answer.
   */
  async retrieve(requestId: string, options: CallOptions = {}): Promise<Receipt> {
    return (await this.#get(`requests/${pathOf("requestId", requestId)}`, options)) as Receipt;
  }
}

/** `client.key`: the calling key. */
export class KeyCalls {
  readonly #get: Get;

  constructor(transport: Transport, apiBaseUrl: string) {
    this.#get = getter(transport, apiBaseUrl);
  }

  /** The key's policy, what is left of its limits, and the wallets that pay for it. */
  async retrieve(options: CallOptions = {}): Promise<KeyInfo> {
    return (await this.#get("key", options)) as KeyInfo;
  }
}

/** `client.runs`: what an agent did and spent. */
export class Runs {
  readonly #get: Get;

  constructor(transport: Transport, apiBaseUrl: string) {
    this.#get = getter(transport, apiBaseUrl);
  }

  /** A run with the runs below it and their requests. */
  async retrieve(runId: string, options: CallOptions = {}): Promise<RunTree> {
    return (await this.#get(`runs/${pathOf("runId", runId)}`, options)) as RunTree;
  }
}

type Get = (path: string, options: CallOptions) => Promise<unknown>;

function getter(transport: Transport, apiBaseUrl: string): Get {
  return async (path, options) => {
    const url = `${apiBaseUrl}/api/v1/${path}`;
    return (await transport.json({ method: "GET", url, paid: false, options })).value;
  };
}

/** An id as a part of a path. One of dots alone would lead somewhere else. */
function pathOf(name: string, id: string): string {
  if (typeof id !== "string" || id.length > ID_CHARACTERS_MAX || !/^[\x21-\x7e]+$/.test(id) || /^\.+$/.test(id)) {
    throw new Error(`JoyToken ${name} must be 1 to ${ID_CHARACTERS_MAX} visible ASCII characters.`);
  }
  return encodeURIComponent(id);
}

import { node } from "#platform";
import type { LookupAddress, LookupOptions } from "node:dns";
import type { IncomingMessage, RequestOptions } from "node:http";

const USER_AGENT = "joytoken-agent-ts";

/** One request. */
export interface Get {
  url: URL;
  maxBytes: number;
  signal: AbortSignal;
  fetchImpl: typeof fetch | undefined;
  /** Throws where an address that the host's name leads to may not be connected to. */
  mayConnect: (address: string) => void;
}

/** What was answered. `location` is where a redirect leads. */
export interface Page {
  status: number;
  contentType: string;
  body: Uint8Array;
  truncated: boolean;
  location?: string;
}

/** Get a page, and follow no redirect. */
export async function getPage(get: Get): Promise<Page> {
  return get.fetchImpl === undefined ? getByNode(get) : getByFetch(get, get.fetchImpl);
}

async function getByFetch({ url, maxBytes, signal }: Get, fetchImpl: typeof fetch): Promise<Page> {
  const headers = { "User-Agent": USER_AGENT };
  const response = await fetchImpl(url, { method: "GET", redirect: "manual", headers, signal });
  if (response.type === "opaqueredirect") throw new Error("a redirect cannot be followed in this runtime");
  const location = response.headers.get("location");
  const page = { status: response.status, contentType: response.headers.get("content-type") ?? "" };
  if (isRedirect(response.status) && location !== null) {
    await response.body?.cancel();
    return { ...page, body: new Uint8Array(), truncated: false, location };
  }
  return { ...page, ...(await readBounded(piecesOf(response.body), maxBytes)) };
}

/** By Node.js itself, which can connect to the very address that was checked, so that no name can change meanwhile. */
async function getByNode({ url, maxBytes, signal, mayConnect }: Get): Promise<Page> {
  if (node === undefined) throw new Error("outside of Node.js it needs a fetchImpl");
  const [dns, { request }] = await Promise.all([
    node.dns(),
    url.protocol === "https:" ? node.https() : node.http(),
  ]);
  const lookup = (
    name: string,
    options: LookupOptions,
    done: (error: Error | null, address: string | LookupAddress[], family?: number) => void,
  ): void => {
    dns.lookup(name, { ...options, all: true }, (error, found) => {
      if (error !== null) return done(error, []);
      try {
        for (const { address } of found) mayConnect(address);
      } catch (refused) {
        return done(refused as Error, []);
      }
      const [first] = found;
      if (first === undefined) return done(new Error(`${name} has no address`), []);
      return options.all === true ? done(null, found) : done(null, first.address, first.family);
    });
  };
  const options: RequestOptions = {
    method: "GET",
    headers: { "User-Agent": USER_AGENT },
    agent: false, // a page is got once, and nothing is left open
    lookup: lookup as NonNullable<RequestOptions["lookup"]>,
    signal,
  };
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(url, options, resolve).on("error", reject).end();
  });
  try {
    const { statusCode: status = 0, headers } = response;
    const page = { status, contentType: headers["content-type"] ?? "" };
    if (isRedirect(status) && headers.location !== undefined) {
      return { ...page, body: new Uint8Array(), truncated: false, location: headers.location };
    }
    return { ...page, ...(await readBounded(response, maxBytes)) };
  } finally {
    response.destroy();
  }
}

function isRedirect(status: number): boolean {
  return [301, 302, 303, 307, 308].includes(status);
}

/** A body's pieces, by a reader: not every browser's streams can be iterated. */
async function* piecesOf(stream: ReadableStream<Uint8Array> | null): AsyncGenerator<Uint8Array> {
  const reader = stream?.getReader();
  if (reader === undefined) return;
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) yield read.value;
  } finally {
    reader.cancel().catch(() => {}); // what is not read is let go, and nobody waits for it
  }
}

async function readBounded(
  pieces: AsyncIterable<Uint8Array>,
  maxBytes: number,
): Promise<{ body: Uint8Array; truncated: boolean }> {
  const read: Uint8Array[] = [];
  let size = 0;
  for await (const piece of pieces) {
    read.push(piece.subarray(0, maxBytes - size));
    size += piece.length;
    if (size > maxBytes) break;
  }
  const body = new Uint8Array(Math.min(size, maxBytes));
  let at = 0;
  for (const piece of read) {
    body.set(piece, at);
    at += piece.length;
  }
  return { body, truncated: size > maxBytes };
}

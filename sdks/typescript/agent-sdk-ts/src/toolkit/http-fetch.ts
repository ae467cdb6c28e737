import type { AgentTool } from "../types.js";
import { isAddress, isPublicAddress } from "./address.js";
import { stringArg } from "./arguments.js";
import { boundOf, withinTime } from "./bounds.js";
import { getPage, type Page } from "./http-get.js";

/** How much of a body is read, in bytes. */
export const DefaultHTTPMaxBytes = 1 << 20;
/** How long a fetch may take, redirects and body included, in milliseconds. */
export const DefaultHTTPTimeoutMs = 15_000;

const REDIRECTS_MAX = 5;
const URL_CHARS_MAX = 8 << 10;

/** Where `http_fetch` may go. */
export interface HTTPFetchConfig {
  /**
   * The only hosts, without regard to case; an entry with a port allows that port only. Empty: none. An IPv6 address
   * stands in brackets where a port follows: `[2606:4700::1111]:443`.
   */
  allowedHosts: string[];
  /** In milliseconds; `DefaultHTTPTimeoutMs` where it is 0 or less. */
  timeoutMs?: number | undefined;
  /** `DefaultHTTPMaxBytes` where it is 0 or less. */
  maxBytes?: number | undefined;
  /**
   * Sends the requests, for runtimes that are not Node.js and for tests. It resolves and connects as it likes: what is
   * checked of an address then is what stands in the URL.
   */
  fetchImpl?: typeof fetch | undefined;
  /**
   * `host:port` pairs that may be reached although their address is not public, such as `localhost:8080`. Any other
   * host that leads to a private, local or otherwise special address is refused, whatever its name.
   */
  allowPrivate?: string[] | undefined;
}

/** A tool that gets a page by http or https, from allowed hosts alone. */
export function httpFetch(config: HTTPFetchConfig): AgentTool {
  return {
    name: "http_fetch",
    description: "Get a page by http or https, from the hosts that are allowed.",
    parameters: {
      type: "object",
      properties: { url: { type: "string", description: "The address." } },
      required: ["url"],
    },
    execute: async (input, context) => {
      try {
        return await fetchPage(config, stringArg(input, "url"), context?.signal);
      } catch (error) {
        throw new Error(`http_fetch: ${messageOf(error)}`);
      }
    },
  };
}

function fetchPage(config: HTTPFetchConfig, address: string, outer: AbortSignal | undefined): Promise<object> {
  const timeoutMs = boundOf(config.timeoutMs, DefaultHTTPTimeoutMs);
  return withinTime(timeoutMs, `timed out after ${timeoutMs}ms`, outer, (signal) => follow(config, address, signal));
}

async function follow(config: HTTPFetchConfig, address: string, signal: AbortSignal): Promise<object> {
  const { fetchImpl } = config;
  const maxBytes = boundOf(config.maxBytes, DefaultHTTPMaxBytes);
  let url = urlOf(address);
  for (let redirects = 0; ; redirects += 1) {
    signal.throwIfAborted();
    checkUrl(config, url);
    const asked = url;
    const page = await getPage({
      url,
      maxBytes,
      signal,
      fetchImpl,
      mayConnect: (resolved) => mayConnect(config, asked, resolved),
    });
    if (page.location === undefined) return told(page);
    if (redirects === REDIRECTS_MAX) throw new Error(`more than ${REDIRECTS_MAX} redirects`);
    const next = urlOf(page.location, url);
    if (url.protocol === "https:" && next.protocol !== "https:") {
      throw new Error("a redirect from https to http is not followed");
    }
    url = next;
  }
}

function told({ status, contentType, body, truncated }: Page): object {
  const text = new TextDecoder().decode(body);
  return { status, content_type: contentType, body: text, bytes: body.length, truncated };
}

function urlOf(address: string, base?: URL): URL {
  if (address.length > URL_CHARS_MAX) throw new Error(`the address has more than ${URL_CHARS_MAX} characters`);
  try {
    return new URL(address, base);
  } catch {
    throw new Error("the address cannot be read");
  }
}

/** @throws Error where an address may not be asked at all. */
function checkUrl(config: HTTPFetchConfig, url: URL): void {
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new Error(`only http and https are fetched, not "${url.protocol.slice(0, -1)}"`);
  }
  if (url.username !== "" || url.password !== "") throw new Error("an address with a user name is not fetched");
  const { name, withPort } = hostOf(url);
  const allowed = config.allowedHosts.map((entry) => entry.trim().toLowerCase());
  if (name === "" || !allowed.some((entry) => entry === name || entry === withPort)) {
    throw new Error(`host "${url.host}" is not on the list of allowed hosts`);
  }
  if (isAddress(name)) mayConnect(config, url, name);
  else if (config.fetchImpl !== undefined && /(^|\.)localhost$/.test(name)) mayConnect(config, url, "127.0.0.1");
}

/** @throws Error where a host leads to an address that is not public, and that was not allowed by name. */
function mayConnect(config: HTTPFetchConfig, url: URL, address: string): void {
  const { withPort } = hostOf(url);
  const exempt = (config.allowPrivate ?? []).some((entry) => entry.trim().toLowerCase() === withPort);
  if (!exempt && !isPublicAddress(address)) throw new Error(`the address ${address} is not public`);
}

/** A URL's host without brackets and without a dot at its end; and with its port, an IPv6 address in brackets. */
function hostOf(url: URL): { name: string; withPort: string } {
  const name = url.hostname.toLowerCase().replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
  const port = url.port || (url.protocol === "https:" ? "443" : "80");
  return { name, withPort: `${name.includes(":") ? `[${name}]` : name}:${port}` };
}

/** What an error says; where several addresses of a host refused, Node.js has no more than a code. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.message || ((error as { code?: string }).code ?? error.name);
}

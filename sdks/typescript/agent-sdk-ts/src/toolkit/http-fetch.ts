import type { AgentTool } from "../types.js";
import { isAddress, isPublicAddress } from "./address.js";
import { stringArg } from "./arguments.js";
import { getPage, type Page } from "./http-get.js";

/** How much of a body is read, in bytes. */
export const DefaultHTTPMaxBytes = 1 << 20;
/** How long a fetch may take, redirects and body included, in milliseconds. */
export const DefaultHTTPTimeoutMs = 15_000;

const REDIRECTS_MAX = 5;
const URL_CHARS_MAX = 8 << 10;

/** Where `http_fetch` may go. */
export interface HTTPFetchConfig {
  /** The only hosts, without regard to case; an entry with a port allows that port only. Empty: none. */
  allowedHosts: string[];
  timeoutMs?: number | undefined;
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
        throw new Error(`http_fetch: ${error instanceof Error ? error.message : String(error)}`);
      }
    },
  };
}

async function fetchPage(config: HTTPFetchConfig, address: string, signal: AbortSignal | undefined): Promise<object> {
  const { timeoutMs = DefaultHTTPTimeoutMs, maxBytes = DefaultHTTPMaxBytes } = config;
  const controller = new AbortController();
  const stop = (): void => controller.abort(signal?.reason);
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop, { once: true });
  const timer = setTimeout(() => controller.abort(new Error(`timed out after ${timeoutMs}ms`)), timeoutMs);
  try {
    let url = urlOf(address);
    for (let redirects = 0; ; redirects += 1) {
      checkUrl(config, url);
      const page = await getPage({
        url,
        maxBytes,
        signal: controller.signal,
        fetchImpl: config.fetchImpl,
        mayConnect: (resolved) => mayConnect(config, url, resolved),
      });
      if (page.location === undefined) return told(page);
      if (redirects === REDIRECTS_MAX) throw new Error(`more than ${REDIRECTS_MAX} redirects`);
      const next = urlOf(page.location, url);
      if (url.protocol === "https:" && next.protocol !== "https:") {
        throw new Error("a redirect from https to http is not followed");
      }
      url = next;
    }
  } catch (error) {
    throw controller.signal.aborted ? controller.signal.reason : error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", stop);
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
  const { name, port } = hostOf(url);
  const allowed = config.allowedHosts.map((entry) => entry.trim().toLowerCase());
  if (name === "" || !allowed.some((entry) => entry === name || entry === `${name}:${port}`)) {
    throw new Error(`host "${url.host}" is not on the list of allowed hosts`);
  }
  if (isAddress(name)) mayConnect(config, url, name);
  else if (config.fetchImpl !== undefined && /(^|\.)localhost$/.test(name)) mayConnect(config, url, "127.0.0.1");
}

/** @throws Error where a host leads to an address that is not public, and that was not allowed by name. */
function mayConnect(config: HTTPFetchConfig, url: URL, address: string): void {
  const { name, port } = hostOf(url);
  const exempt = (config.allowPrivate ?? []).some((entry) => entry.trim().toLowerCase() === `${name}:${port}`);
  if (!exempt && !isPublicAddress(address)) throw new Error(`the address ${address} is not public`);
}

/** A URL's host without brackets and without a dot at its end, and its port. */
function hostOf(url: URL): { name: string; port: string } {
  const name = url.hostname.toLowerCase().replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
  return { name, port: url.port || (url.protocol === "https:" ? "443" : "80") };
}

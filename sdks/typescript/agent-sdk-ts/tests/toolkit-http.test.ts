import assert from "node:assert/strict";
import dns from "node:dns";
import { createServer, type RequestListener } from "node:http";
import { syncBuiltinESMExports } from "node:module";
import type { AddressInfo } from "node:net";
import { test, type TestContext } from "node:test";
import { DefaultHTTPMaxBytes, DefaultHTTPTimeoutMs, httpFetch, type HTTPFetchConfig } from "@joytoken/agent-sdk-ts/toolkit";
import { isPublicAddress } from "../dist/toolkit/address.js";
import { context } from "./model.js";

const PUBLIC = ["8.8.8.8", "1.1.1.1", "223.255.255.255", "2606:4700::1111", "2a00:1450::1", "2400:cb00::1", "::ffff:8.8.8.8"];
const SPECIAL = [
  ...["0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.255", "169.254.169.254", "172.16.0.1"],
  ...["172.31.255.255", "192.0.0.1", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1"],
  ...["203.0.113.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "168.63.129.16", "::", "::1", "fc00::1"],
  ...["fd00:ec2::254", "fe80::1", "fec0::1", "ff02::1", "64:ff9b::8.8.8.8", "64:ff9b:1::1", "::ffff:127.0.0.1"],
  ...["::ffff:7f00:1", "::127.0.0.1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::1", "3fff::1", "4000::1"],
  ...["", "a", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.256", "1::2::3", ":1", "1:2:3:4:5:6:7:8:9", "fe80::1%eth0", "12345::"],
];

test("public addresses are told from all others", () => {
  assert.deepEqual(PUBLIC.filter((address) => !isPublicAddress(address)), []);
  assert.deepEqual(SPECIAL.filter(isPublicAddress), []);
});

async function serverOf(t: TestContext, handler: RequestListener): Promise<string> {
  const server = createServer(handler);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function fetching(config: HTTPFetchConfig, url: unknown): Promise<any> {
  return Promise.resolve(httpFetch(config).execute!({ url }, context("http_fetch")));
}

const allowing = (host: string, more: Partial<HTTPFetchConfig> = {}): HTTPFetchConfig => ({
  allowedHosts: ["127.0.0.1"],
  allowPrivate: [host],
  ...more,
});

test("a page is told with its status, type and body", async (t) => {
  const host = await serverOf(t, ({ method, url, headers }, response) => {
    response.writeHead(404, { "Content-Type": "text/plain" }).end(`${method} ${url} ${headers.cookie ?? ""}é`);
  });
  const page = { status: 404, content_type: "text/plain", body: "GET /a?b é", bytes: 11, truncated: false };
  assert.deepEqual(await fetching(allowing(host), `http://${host}/a?b`), page);
  assert.deepEqual([DefaultHTTPMaxBytes, DefaultHTTPTimeoutMs], [1 << 20, 15_000]);
});

test("a body is cut at its bound", async (t) => {
  const host = await serverOf(t, (_, response) => response.end("x".repeat(100_000)));
  const { bytes, truncated, body } = await fetching(allowing(host, { maxBytes: 10 }), `http://${host}`);
  assert.deepEqual([bytes, truncated, body], [10, true, "xxxxxxxxxx"]);
});

test("a bound that is none is the default", async (t) => {
  const host = await serverOf(t, (_, response) => response.end("here"));
  for (const none of [0, -5, NaN, undefined]) {
    const { body } = await fetching(allowing(host, { maxBytes: none, timeoutMs: none }), `http://${host}`);
    assert.equal(body, "here", String(none));
  }
  assert.equal((await fetching(allowing(host, { timeoutMs: Infinity }), `http://${host}`)).body, "here");
});

const REFUSED: [string, RegExp][] = [
  ["http://localhost:1/", /host "localhost:1" is not on the list of allowed hosts/],
  ["http://127.0.0.1:1/", /the address 127\.0\.0\.1 is not public/],
  ["http://2130706433:1/", /the address 127\.0\.0\.1 is not public/],
  ["http://0x7f.1:1/", /the address 127\.0\.0\.1 is not public/],
  ["http://[::ffff:127.0.0.1]:1/", /is not on the list of allowed hosts/],
  ["ftp://127.0.0.1/", /only http and https are fetched, not "ftp"/],
  ["file:///etc/passwd", /only http and https are fetched, not "file"/],
  ["http://u:p@127.0.0.1/", /an address with a user name is not fetched/],
  ["nonsense", /the address cannot be read/],
  [`http://127.0.0.1/${"x".repeat(9000)}`, /the address has more than 8192 characters/],
];

for (const [url, message] of REFUSED) {
  test(`it is refused: ${url.slice(0, 40)}`, async () => {
    await assert.rejects(fetching({ allowedHosts: ["127.0.0.1"] }, url), message);
  });
}

test("an empty list allows nothing, and the url must be a text", async () => {
  await assert.rejects(fetching({ allowedHosts: [] }, "http://a.example/"), /http_fetch: host "a\.example" is not on the list/);
  await assert.rejects(fetching({ allowedHosts: [] }, 1), /http_fetch: argument "url" must be a string/);
});

test("a name that leads to a private address is not connected to", async (t) => {
  let asked = 0;
  const host = await serverOf(t, (_, response) => {
    asked += 1;
    response.end();
  });
  const port = host.split(":")[1];
  const config = { allowedHosts: ["localhost"] };
  await assert.rejects(fetching(config, `http://LOCALHOST:${port}/`), /http_fetch: the address (127\.0\.0\.1|::1) is not public/);
  assert.equal(asked, 0);
  const allowed = { ...config, allowPrivate: [`localhost:${port}`] };
  assert.equal((await fetching(allowed, `http://localhost:${port}/`)).status, 200);
});

test("a name is looked up once, and connected to where that led, and nowhere else", async (t) => {
  const asked: (string | undefined)[] = [];
  const host = await serverOf(t, ({ headers }, response) => {
    asked.push(headers.host);
    response.end("here");
  });
  const port = host.split(":")[1];
  const answers: string[][] = [];
  const lookup = (_name: string, _options: object, done: (error: null, found: object[]) => void) =>
    done(null, answers.shift()!.map((address) => ({ address, family: 4 })));
  t.mock.method(dns, "lookup", lookup as never);
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
  const config = { allowedHosts: ["pages.example"] };
  const get = (more: Partial<HTTPFetchConfig> = {}) => fetching({ ...config, ...more }, `http://pages.example:${port}/`);
  answers.push(["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], []);
  await assert.rejects(get(), /http_fetch: the address 127\.0\.0\.1 is not public/);
  await assert.rejects(get(), /http_fetch: the address 127\.0\.0\.1 is not public/);
  await assert.rejects(get(), /http_fetch: pages\.example has no address/);
  assert.deepEqual(asked, []);
  answers.push(["127.0.0.1"], ["10.0.0.1"]); // the second is what a name that changes would say next
  assert.equal((await get({ allowPrivate: [`pages.example:${port}`] })).body, "here");
  assert.deepEqual([asked, answers], [[`pages.example:${port}`], [["10.0.0.1"]]]);
});

test("redirects are followed by hand, each checked, and not for ever", async (t) => {
  const host = await serverOf(t, ({ url }, response) => {
    const [, left = "0", last = ""] = url!.split("/");
    const next = Number(left) > 0 ? `/${Number(left) - 1}/${last}` : decodeURIComponent(last);
    if (Number(left) > 0 || next !== "") response.writeHead(302, { Location: next });
    response.end("there");
  });
  assert.equal((await fetching(allowing(host), `http://${host}/5/`)).body, "there");
  await assert.rejects(fetching(allowing(host), `http://${host}/6/`), /more than 5 redirects/);
  const to = (target: string) => fetching(allowing(host), `http://${host}/0/${encodeURIComponent(target)}`);
  await assert.rejects(to("http://169.254.169.254/latest"), /host "169\.254\.169\.254" is not on the list/);
  await assert.rejects(to("http://127.0.0.1:1/"), /the address 127\.0\.0\.1 is not public/);
  await assert.rejects(to("file:///etc/passwd"), /only http and https/);
});

test("a server that hangs is given up, and so is one whose run ends", async (t) => {
  const host = await serverOf(t, ({ url }, response) => void (url === "/body" && response.writeHead(200).write("a")));
  const config = allowing(host, { timeoutMs: 30 });
  await assert.rejects(fetching(config, `http://${host}/`), /http_fetch: timed out after 30ms/);
  await assert.rejects(fetching(config, `http://${host}/body`), /http_fetch: timed out after 30ms/);
  const signal = AbortSignal.abort(new Error("enough"));
  const run = async (): Promise<unknown> => httpFetch(allowing(host)).execute!({ url: `http://${host}/` }, { ...context("x"), signal } as never);
  await assert.rejects(run(), /enough/);
});

test("an IPv6 address with a port stands in brackets", async () => {
  const config = (entry: string) => ({ allowedHosts: [entry], fetchImpl: async () => new Response("here") });
  assert.equal((await fetching(config("[2606:4700::1111]:8080"), "http://[2606:4700::1111]:8080/")).body, "here");
  await assert.rejects(fetching(config("[2606:4700::1111]:8080"), "http://[2606:4700::1111]/"), /is not on the list/);
  await assert.rejects(fetching(config("2606:4700::1:80"), "http://[2606:4700::1]/"), /is not on the list/);
});

test("a fetch of one's own that hears no signal is given up, its body too", async () => {
  const config = (fetchImpl: typeof fetch) => ({ allowedHosts: ["a.example"], timeoutMs: 20, fetchImpl });
  const silent = new ReadableStream<Uint8Array>({ start: (body) => body.enqueue(new Uint8Array(3)) });
  for (const fetchImpl of [() => new Promise<Response>(() => {}), async () => new Response(silent)]) {
    await assert.rejects(fetching(config(fetchImpl), "http://a.example/"), /^Error: http_fetch: timed out after 20ms$/);
  }
});

test("a body of a fetch of one's own is cut at its bound, and let go", async () => {
  let ended: unknown = "read to its end";
  const endless = new ReadableStream<Uint8Array>({
    pull: (body) => body.enqueue(new TextEncoder().encode("xxxx")),
    cancel: () => void (ended = "let go"),
  });
  const config = { allowedHosts: ["a.example"], maxBytes: 10, fetchImpl: async () => new Response(endless) };
  const { bytes, truncated, body } = await fetching(config, "http://a.example/");
  assert.deepEqual([bytes, truncated, body, ended], [10, true, "xxxxxxxxxx", "let go"]);
});

test("a redirect that a browser hides is an error, never an empty page", async () => {
  const hidden = Object.defineProperty(new Response(null), "type", { value: "opaqueredirect" });
  const config = { allowedHosts: ["a.example"], fetchImpl: async () => hidden };
  await assert.rejects(fetching(config, "http://a.example/"), /http_fetch: a redirect cannot be followed in this runtime/);
});

test("a fetch of one's own is told to follow nothing, and literal addresses are checked", async () => {
  const asked: unknown[] = [];
  const fetchImpl: typeof fetch = async (url, init) => {
    asked.push([String(url), init?.redirect, init?.method]);
    const first = asked.length === 1;
    return new Response("body", first ? { status: 301, headers: { location: "http://b.example/x" } } : {});
  };
  const config = { allowedHosts: ["a.example", "b.example", "10.0.0.1", "x.localhost"], fetchImpl };
  assert.equal((await fetching(config, "https://a.example/").catch((error: Error) => error.message)), "http_fetch: a redirect from https to http is not followed");
  assert.equal((await fetching(config, "http://b.example/")).body, "body");
  await assert.rejects(fetching(config, "http://10.0.0.1/"), /not public/);
  await assert.rejects(fetching(config, "http://x.localhost/"), /not public/);
  assert.deepEqual(asked, [["https://a.example/", "manual", "GET"], ["http://b.example/", "manual", "GET"]]);
});

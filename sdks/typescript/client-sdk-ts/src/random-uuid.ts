import { node } from "#platform";

/**
 * A random UUID. Node.js 18 has no global `crypto`, browsers have no `randomUUID` without TLS, and some runtimes have
 * neither: there chance is good enough, for nobody gains by guessing the key of somebody else's call.
 */
export function randomUuid(): string {
  const source: Partial<Crypto> | undefined = globalThis.crypto ?? node?.crypto.webcrypto;
  if (source?.randomUUID !== undefined) return source.randomUUID();
  const bytes = new Uint8Array(16).map(() => Math.floor(Math.random() * 256));
  source?.getRandomValues?.(bytes);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

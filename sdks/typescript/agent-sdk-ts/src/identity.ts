import { node } from "#platform";
import { parseCredits } from "./credits.js";
import type { RunIdentityState } from "./state.js";
import type { AgentRunIdentity } from "./types.js";

const NAME_CHARS_MAX = 128;
const CHILD_CHARS = 95;
const HASH_DIGITS = 32;
const VISIBLE = /^[!-~]{1,128}$/;
const UNSAFE = /[^A-Za-z0-9._-]/u;

/** What a run is called, with a random id where it has none. @throws Error where a header could not carry a name. */
export async function identityOf(options: AgentRunIdentity = {}): Promise<RunIdentityState> {
  const identity: RunIdentityState = {
    id: options.id ?? `run-${hexOf(await randomBytes(16))}`,
    parent_id: options.parentId ?? null,
    workflow: options.workflow ?? null,
    budget: options.budget ?? null,
  };
  checkIdentity(identity);
  return identity;
}

/** @throws Error where a name is none, or the budget is no amount. */
export function checkIdentity(identity: RunIdentityState): void {
  for (const [field, name] of [["id", "id"], ["parent_id", "parentId"], ["workflow", "workflow"]] as const) {
    const value = identity[field];
    if (value !== null && !(typeof value === "string" && VISIBLE.test(value))) {
      throw new Error(`run.${name} must be 1 to ${NAME_CHARS_MAX} visible ASCII characters without spaces`);
    }
  }
  if (identity.budget === null) return;
  try {
    parseCredits(identity.budget);
  } catch (error) {
    throw new Error(`run.budget ${(error as Error).message}`);
  }
}

/** The Idempotency-Key of a run's model call, from 1. */
export function callKey(runId: string, call: number): string {
  return `${runId}:${call}`;
}

/**
 * The id of the run that a tool call begins, the same in each process and language: `parent.call` where that is a safe
 * name, else its beginning and a part of its hash.
 */
export async function childRunId(parent: string, callId: string): Promise<string> {
  const whole = `${parent}.${callId}`;
  const characters = [...whole];
  if (characters.length <= NAME_CHARS_MAX && !characters.some((one) => UNSAFE.test(one))) return whole;
  const safe = characters.slice(0, CHILD_CHARS).map((one) => (UNSAFE.test(one) ? "_" : one));
  return `${safe.join("")}-${(await hexOfSha256(whole)).slice(0, HASH_DIGITS)}`;
}

/** The SHA-256 of a text in UTF-8, as hexadecimal digits. */
export async function hexOfSha256(text: string): Promise<string> {
  const subtle = (await webCrypto())?.subtle;
  if (subtle === undefined) throw new Error("this runtime has no SHA-256, which a run of such an id needs");
  return hexOf(new Uint8Array(await subtle.digest("SHA-256", new TextEncoder().encode(text))));
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Where a runtime has nothing better chance is good enough: nobody gains by guessing the id of somebody else's run. */
async function randomBytes(count: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(count).map(() => Math.floor(Math.random() * 256));
  (await webCrypto())?.getRandomValues(bytes);
  return bytes;
}

/** Node.js 18 has no global one, and some runtimes have none at all. */
async function webCrypto(): Promise<Crypto | undefined> {
  return globalThis.crypto ?? ((await node?.crypto())?.webcrypto as Crypto | undefined);
}

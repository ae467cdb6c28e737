import { setTimeout as pause } from "node:timers/promises";

/** The real gateway, if there is one. */
export function worldUrl(): string | undefined {
  return process.env["JOYTOKEN_TEST_URL"];
}

/** What the scripted provider was asked. */
export interface StubCall {
  headers: Record<string, string>;
  body: any;
  cancelled: boolean;
}

/** Tell the scripted provider what to answer for a model. */
export async function stubModel(model: string, ...answers: object[]): Promise<void> {
  const body = JSON.stringify({ model, answers });
  const response = await fetch(`${process.env["JOYTOKEN_TEST_STUB_URL"]}/_script`, { method: "POST", body });
  if (!response.ok) throw new Error(await response.text());
}

/** What it was asked for a model since then. */
export async function stubCalls(model: string): Promise<StubCall[]> {
  const response = await fetch(`${process.env["JOYTOKEN_TEST_STUB_URL"]}/_calls?model=${encodeURIComponent(model)}`);
  return ((await response.json()) as { calls: StubCall[] }).calls;
}

/** How many requests of the gateway hold money, by its metrics. */
export async function openHolds(): Promise<number> {
  const headers = { Authorization: `Bearer ${process.env["JOYTOKEN_TEST_ADMIN_KEY"]}` };
  const text = await (await fetch(`${worldUrl()}/metrics`, { headers })).text();
  const found = [...text.matchAll(/^joytoken_escrow_open_holds(?:\{[^}]*\})? (\d+)/gm)];
  if (found.length === 0) throw new Error(`no holds in ${text.slice(0, 300)}`);
  return found.reduce((sum, [, holds]) => sum + Number(holds), 0);
}

/** Look until there is something to see, for a generous while. */
export async function eventually<T>(what: string, look: () => Promise<T | undefined | false>): Promise<T> {
  for (let tries = 0; tries < 500; tries++) {
    const seen = await look();
    if (seen) return seen;
    await pause(20);
  }
  throw new Error(`not yet: ${what}`);
}

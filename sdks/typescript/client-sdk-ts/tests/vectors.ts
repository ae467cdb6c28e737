import { readFileSync } from "node:fs";
import { test, type TestContext } from "node:test";

const FOLDER = new URL("../../../../spec/vectors/sdk/", import.meta.url);
const LANGUAGE = "typescript";

export interface Vector {
  name: string;
  input?: any;
  expect?: any;
  only?: string[];
  expect_in?: Record<string, Record<string, unknown>>;
  absent?: string[];
  [field: string]: any;
}

/** The cases of a file that are for this language. */
export function vectorsOf(file: string): Vector[] {
  const { cases } = JSON.parse(readFileSync(new URL(`${file}.json`, FOLDER), "utf8")) as { cases: Vector[] };
  const ours = cases.filter(({ only }) => only === undefined || only.includes(LANGUAGE));
  return ours.map((one) => {
    const other = one.expect_in?.[LANGUAGE];
    return other === undefined ? one : { ...one, expect: { ...one.expect, ...other } };
  });
}

/** A test for each case of a file. */
export function eachVector(file: string, check: (vector: Vector, t: TestContext) => void | Promise<void>): void {
  const vectors = vectorsOf(file);
  if (vectors.length === 0) throw new Error(`${file} has no case for ${LANGUAGE}`);
  for (const vector of vectors) test(`${file}: ${vector.name}`, (t) => check(vector, t));
}

/** A long text, which may be a list of parts. */
export function joined(parts: unknown): string {
  const list = Array.isArray(parts) ? parts : [parts];
  return list.map((part) => (typeof part === "string" ? part : part.repeat.repeat(part.times))).join("");
}

/** Whether parts stand for a long text. */
export function isParts(value: unknown): boolean {
  return Array.isArray(value) && value.some((part) => typeof part?.repeat === "string");
}

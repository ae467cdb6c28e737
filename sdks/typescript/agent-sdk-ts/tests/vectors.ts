import { readFileSync } from "node:fs";
import { test } from "node:test";

const FOLDER = new URL("../../../../spec/vectors/sdk/", import.meta.url);
const LANGUAGE = "typescript";

interface Vector {
  name: string;
  input: any;
  expect: any;
  only?: string[];
}

/** A test for each case of a file of shared vectors that is for this language: see the README there. */
export function eachVector(file: string, check: (input: any, expect: any) => void | Promise<void>): void {
  const { cases } = JSON.parse(readFileSync(new URL(`${file}.json`, FOLDER), "utf8")) as { cases: Vector[] };
  const ours = cases.filter(({ only }) => only === undefined || only.includes(LANGUAGE));
  if (ours.length === 0) throw new Error(`${file} has no case for ${LANGUAGE}`);
  for (const { name, input, expect } of ours) test(`${file}: ${name}`, () => check(input, expect));
}

/** A long text from its parts. */
export function joined(parts: string | (string | { repeat: string; times: number })[]): string {
  const list = typeof parts === "string" ? [parts] : parts;
  return list.map((part) => (typeof part === "string" ? part : part.repeat.repeat(part.times))).join("");
}

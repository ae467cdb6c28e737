import { misfitOf } from "./schema-check.js";
import type { OutputFormat } from "./types.js";

const NAME = /^[A-Za-z0-9_-]{1,64}$/;
const FENCED = /^```[^\n]*\n([\s\S]*)```$/;

/** A final answer that is not of the shape that was asked for, also after the model was asked again. */
export class AgentOutputError extends Error {
  override readonly name = "AgentOutputError";
  /** The answer. */
  readonly text: string;

  constructor(text: string, problem: string) {
    super(`the final answer does not fit: ${problem}`);
    this.text = text;
  }
}

/** @throws Error where the format cannot be asked for. */
export function checkOutputFormat(format: OutputFormat | undefined): void {
  if (format !== undefined && !NAME.test(format.name)) {
    throw new Error("output.name must be 1 to 64 letters, digits, _ and -");
  }
}

/** How a model is asked for it. */
export function responseFormatOf(format: OutputFormat | undefined): Record<string, unknown> | undefined {
  if (format === undefined) return undefined;
  return { type: "json_schema", json_schema: { name: format.name, schema: format.schema, strict: true } };
}

/** The value of an answer, or what is wrong with it. Without a format every text is right, and has no value. */
export function readOutput(format: OutputFormat | undefined, text: string): { value?: unknown; problem?: string } {
  if (format === undefined) return {};
  let value: unknown;
  try {
    value = JSON.parse(withoutFence(text));
  } catch (error) {
    return { problem: `it is no JSON: ${(error as Error).message}` };
  }
  const problem = misfitOf(format.schema, value);
  return problem === undefined ? { value } : { problem };
}

/** What is said to a model whose answer does not fit. */
export function repairText(problem: string): string {
  return `Your answer does not fit the schema: ${problem}. Answer again with nothing but JSON that fits it.`;
}

/** A text without the Markdown fence that some models put around JSON. */
function withoutFence(text: string): string {
  return FENCED.exec(text.trim())?.[1] ?? text;
}

import { isObject } from "./json.js";
import type { Usage } from "./types/chat.js";

/**
 * The tokens of any answer, as chats tell them: its `usage`, in whichever of the three shapes, else the sum of what its
 * metadata was billed by. Undefined where neither is known. A missing or zero total is the sum.
 */
export function callUsage(answer: { usage?: unknown; metadata?: unknown } | null | undefined): Usage | undefined {
  const { usage, metadata } = answer ?? {};
  if (isObject(usage)) {
    const { prompt_tokens = usage["input_tokens"], completion_tokens = usage["output_tokens"] } = usage;
    return usageOf(countOf(prompt_tokens), countOf(completion_tokens), usage);
  }
  const billings = (Array.isArray(metadata) ? metadata : [metadata]).map(billingOf);
  return usageOf(sumOf(billings, "input_tokens"), sumOf(billings, "output_tokens"), {});
}

function usageOf(
  input: number | undefined,
  output: number | undefined,
  told: Record<string, unknown>,
): Usage | undefined {
  if (input === undefined && output === undefined) return undefined;
  const [prompt_tokens, completion_tokens] = [input ?? 0, output ?? 0];
  return {
    ...told,
    prompt_tokens,
    completion_tokens,
    total_tokens: countOf(told["total_tokens"]) || prompt_tokens + completion_tokens,
  };
}

function billingOf(row: unknown): Record<string, unknown> {
  return isObject(row) && isObject(row["billing"]) ? row["billing"] : {};
}

function sumOf(billings: Record<string, unknown>[], field: string): number | undefined {
  const counts = billings.map((billing) => countOf(billing[field])).filter((count) => count !== undefined);
  return counts.length === 0 ? undefined : counts.reduce((sum, count) => sum + count, 0);
}

/** A count of tokens, also where it came as a text. */
function countOf(value: unknown): number | undefined {
  const count = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof count === "number" && Number.isSafeInteger(count) && count >= 0 ? count : undefined;
}

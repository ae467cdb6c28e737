import { isObject } from "./json.js";
import type { ToolCall, ToolCallFragment } from "./types/chat.js";

/** How deep a provider's own data is merged; below that the later value counts. */
const MERGE_DEPTH_MAX = 64;

/** Puts the tool calls of a stream together from their fragments, by `index`. */
export class ToolCallAssembly {
  readonly #calls = new Map<number, ToolCall>();

  add(fragments: ToolCallFragment[]): void {
    fragments.forEach((fragment, position) => {
      if (!isObject(fragment)) return;
      const index = typeof fragment.index === "number" ? fragment.index : position;
      const call = this.#calls.get(index) ?? { id: "", type: "function", function: { name: "", arguments: "" } };
      this.#calls.set(index, call);
      merge(call, fragment);
    });
  }

  /** The calls so far, in the order of their index. */
  calls(): ToolCall[] {
    return [...this.#calls].sort(([a], [b]) => a - b).map(([, call]) => call);
  }
}

function merge(call: ToolCall, fragment: ToolCallFragment): void {
  const { index: _, id, type: __, function: part, thought_signature, extra_content, ...others } = fragment;
  Object.assign(call, others);
  if (id) call.id = id;
  call.function.name += part?.name ?? "";
  call.function.arguments += part?.arguments ?? "";
  if (thought_signature) call.thought_signature = thought_signature;
  if (isObject(extra_content)) call.extra_content = mergeDeeply(call.extra_content, extra_content);
}

/** Objects are merged, everything else is replaced. */
function mergeDeeply(into: unknown, from: Record<string, unknown>, depth = 0): Record<string, unknown> {
  if (!isObject(into) || depth > MERGE_DEPTH_MAX) return from;
  const merged = { ...into };
  for (const [name, value] of Object.entries(from)) {
    const before = Object.hasOwn(merged, name) ? merged[name] : undefined;
    // Defined, not assigned: a name such as __proto__ is data like any other.
    Object.defineProperty(merged, name, {
      value: isObject(value) ? mergeDeeply(before, value, depth + 1) : value,
      configurable: true,
      enumerable: true,
      writable: true,
    });
  }
  return merged;
}

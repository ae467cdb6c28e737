import { isObject } from "../json.js";
import type { Tool } from "../types/tool.js";

/** The longest argument of a built-in tool, in bytes of UTF-8: 1 MiB. */
export const MaxArgBytes = 1 << 20;

/** How many bytes of UTF-8 a text has at most: no text is encoded to find that it is far too long. */
export function utf8Bytes(text: string): number {
  return text.length > MaxArgBytes * 64 ? text.length : new TextEncoder().encode(text).length;
}

/**
 * An argument that is a text.
 *
 * @throws Error, named after the tool, where it is missing, no text or too long.
 */
export function textArgument(tool: string, input: unknown, name: string): string {
  const value = isObject(input) ? input[name] : undefined;
  if (typeof value !== "string") throw new Error(`${tool}: argument ${name} must be a string`);
  if (utf8Bytes(value) > MaxArgBytes) throw new Error(`${tool}: argument ${name} is over ${MaxArgBytes} bytes`);
  return value;
}

/** An argument that is a text, or undefined where it is left out or null. */
export function optionalTextArgument(tool: string, input: unknown, name: string): string | undefined {
  const value = isObject(input) ? input[name] : undefined;
  return value === undefined || value === null ? undefined : textArgument(tool, input, name);
}

/** The schema of an object of texts. */
export function textParameters(properties: Record<string, string>, required: string[]): Tool["parameters"] {
  const schemas = Object.entries(properties).map(([name, description]) => [name, { type: "string", description }]);
  return { type: "object", properties: Object.fromEntries(schemas), ...(required.length > 0 && { required }) };
}

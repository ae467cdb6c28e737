import { isObject } from "../state.js";

/** An argument of a tool that must be a text. @throws Error where it is missing or something else. */
export function stringArg(input: unknown, name: string): string {
  const value = isObject(input) ? input[name] : undefined;
  if (value === undefined) throw new Error(`missing required argument "${name}"`);
  if (typeof value !== "string") throw new Error(`argument "${name}" must be a string`);
  return value;
}

/** An argument of a tool that may be missing. @throws Error where it is there and no text. */
export function optionalStringArg(input: unknown, name: string): string | undefined {
  const value = isObject(input) ? input[name] : undefined;
  return value === undefined || value === null ? undefined : stringArg(input, name);
}

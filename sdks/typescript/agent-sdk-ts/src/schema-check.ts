import { isObject } from "./state.js";

/** How deep values and schemas are followed. */
const DEPTH_MAX = 128;

/**
 * What of a value does not fit a JSON Schema; undefined where all does. Checked are types, objects, lists,
 * enumerations, constants, `anyOf` and bounds; other keywords are for the model alone.
 */
export function misfitOf(schema: unknown, value: unknown, path = "", depth = 0): string | undefined {
  if (schema === false) return at(path, "nothing is allowed here");
  if (!isObject(schema) || depth > DEPTH_MAX) return undefined;
  const types = typeof schema["type"] === "string" ? [schema["type"]] : schema["type"];
  if (Array.isArray(types) && !types.some((type) => isOfType(type, value))) {
    return at(path, `it must be of type ${types.join(" or ")}`);
  }
  if (Array.isArray(schema["enum"]) && !schema["enum"].some((one) => isEqual(one, value))) {
    return at(path, `it must be one of ${JSON.stringify(schema["enum"])}`);
  }
  if (Object.hasOwn(schema, "const") && !isEqual(schema["const"], value)) {
    return at(path, `it must be ${JSON.stringify(schema["const"])}`);
  }
  if (Array.isArray(schema["anyOf"]) && schema["anyOf"].length > 0) {
    const misfits = schema["anyOf"].map((one) => misfitOf(one, value, path, depth + 1));
    if (!misfits.includes(undefined)) return `it fits none of the alternatives, the last because ${misfits.at(-1)}`;
  }
  if (typeof value === "string") return ofText(schema, value, path);
  if (typeof value === "number") return ofNumber(schema, value, path);
  if (Array.isArray(value)) return ofList(schema, value, path, depth);
  if (isObject(value)) return ofObject(schema, value, path, depth);
  return undefined;
}

/** Whether a value is nested more deeply than it is followed; what is so deep cannot be written as JSON safely. */
export function isDeep(value: unknown, left = DEPTH_MAX): boolean {
  if (typeof value !== "object" || value === null) return false;
  return left === 0 || Object.values(value).some((one) => isDeep(one, left - 1));
}

function isOfType(type: unknown, value: unknown): boolean {
  switch (type) {
    case "null":
      return value === null;
    case "integer":
      return Number.isInteger(value);
    case "array":
      return Array.isArray(value);
    case "object":
      return isObject(value);
    default:
      return typeof value === type;
  }
}

/** Each bound with its test and words; `size` is what is compared. */
function ofBounds(
  schema: Record<string, unknown>,
  size: number,
  path: string,
  bounds: readonly (readonly [keyword: string, fits: (size: number, bound: number) => boolean, words: string])[],
): string | undefined {
  for (const [keyword, fits, words] of bounds) {
    const bound = schema[keyword];
    if (typeof bound === "number" && !fits(size, bound)) return at(path, words.replace("{}", String(bound)));
  }
  return undefined;
}

const least = (size: number, bound: number): boolean => size >= bound;
const most = (size: number, bound: number): boolean => size <= bound;

function ofText(schema: Record<string, unknown>, value: string, path: string): string | undefined {
  return ofBounds(schema, [...value].length, path, [
    ["minLength", least, "it must have at least {} characters"],
    ["maxLength", most, "it must have at most {} characters"],
  ]);
}

function ofNumber(schema: Record<string, unknown>, value: number, path: string): string | undefined {
  return ofBounds(schema, value, path, [
    ["minimum", least, "it must be at least {}"],
    ["maximum", most, "it must be at most {}"],
    ["exclusiveMinimum", (size, bound) => size > bound, "it must be more than {}"],
    ["exclusiveMaximum", (size, bound) => size < bound, "it must be less than {}"],
  ]);
}

function ofList(schema: Record<string, unknown>, value: unknown[], path: string, depth: number): string | undefined {
  const bounds = ofBounds(schema, value.length, path, [
    ["minItems", least, "it must have at least {} items"],
    ["maxItems", most, "it must have at most {} items"],
  ]);
  if (bounds !== undefined) return bounds;
  for (const [index, item] of value.entries()) {
    const misfit = misfitOf(schema["items"], item, `${path}[${index}]`, depth + 1);
    if (misfit !== undefined) return misfit;
  }
  return undefined;
}

function ofObject(
  schema: Record<string, unknown>,
  value: Record<string, unknown>,
  path: string,
  depth: number,
): string | undefined {
  const required = Array.isArray(schema["required"]) ? schema["required"] : [];
  const missing = required.find((name) => !Object.hasOwn(value, String(name)));
  if (missing !== undefined) return at(path, `property ${JSON.stringify(missing)} is missing`);
  const properties = isObject(schema["properties"]) ? schema["properties"] : {};
  for (const name of Object.keys(value)) {
    const named = Object.hasOwn(properties, name);
    const own = named ? properties[name] : schema["additionalProperties"];
    if (!named && own === false) return at(path, `property ${JSON.stringify(name)} is not allowed`);
    const misfit = misfitOf(own, value[name], `${path}.${name}`, depth + 1);
    if (misfit !== undefined) return misfit;
  }
  return undefined;
}

/** Equality of JSON values. */
function isEqual(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((item, index) => isEqual(item, other[index]));
  }
  if (!isObject(one) || !isObject(other)) return false;
  const names = Object.keys(one);
  return (
    names.length === Object.keys(other).length &&
    names.every((name) => Object.hasOwn(other, name) && isEqual(one[name], other[name]))
  );
}

function at(path: string, problem: string): string {
  return path === "" ? problem : `at ${path}: ${problem}`;
}

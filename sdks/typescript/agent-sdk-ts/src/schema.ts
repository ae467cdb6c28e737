/** What a value must be, as a JSON Schema, with its type for the compiler. Made by the functions of this file. */
export interface Schema<T> {
  /** The JSON Schema. */
  readonly schema: Record<string, unknown>;
  /** Whether a property of it may be missing. */
  readonly optional: boolean;
  /** Only for the compiler. */
  readonly type?: T;
}

/** A property that may be missing. */
export interface OptionalSchema<T> extends Schema<T | undefined> {
  readonly optional: true;
}

/** The type of what a schema describes. */
export type Infer<S> = S extends Schema<infer T> ? T : never;

type Properties = Record<string, Schema<unknown>>;
type OptionalNames<P> = { [K in keyof P]: P[K] extends OptionalSchema<unknown> ? K : never }[keyof P];
type Flat<T> = { [K in keyof T]: T[K] };
/** The type of an object by its properties. */
export type ObjectOf<P extends Properties> = Flat<
  { [K in Exclude<keyof P, OptionalNames<P>>]: Infer<P[K]> } & { [K in OptionalNames<P>]?: Infer<P[K]> }
>;

/** Bounds and further keywords of a JSON Schema, such as `minimum`. */
export type Keywords = Record<string, unknown>;

function schemaOf<T>(schema: Record<string, unknown>, description: string | undefined, more?: Keywords): Schema<T> {
  return { schema: { ...schema, ...(description !== undefined && { description }), ...more }, optional: false };
}

/** A text. */
export function string(description?: string, more?: Keywords): Schema<string> {
  return schemaOf({ type: "string" }, description, more);
}

/** A number. */
export function number(description?: string, more?: Keywords): Schema<number> {
  return schemaOf({ type: "number" }, description, more);
}

/** A whole number. */
export function integer(description?: string, more?: Keywords): Schema<number> {
  return schemaOf({ type: "integer" }, description, more);
}

/** True or false. */
export function boolean(description?: string): Schema<boolean> {
  return schemaOf({ type: "boolean" }, description);
}

/** One of several texts. */
export function oneOf<const V extends string>(values: readonly V[], description?: string): Schema<V> {
  return schemaOf({ type: "string", enum: [...values] }, description);
}

/** A list of one kind of values. */
export function array<T>(items: Schema<T>, description?: string, more?: Keywords): Schema<T[]> {
  return schemaOf({ type: "array", items: items.schema }, description, more);
}

/** An object with these properties and no others. */
export function object<P extends Properties>(properties: P, description?: string): Schema<ObjectOf<P>> {
  const entries = Object.entries(properties);
  return schemaOf(
    {
      type: "object",
      properties: Object.fromEntries(entries.map(([name, { schema }]) => [name, schema])),
      required: entries.filter(([, { optional }]) => !optional).map(([name]) => name),
      additionalProperties: false,
    },
    description,
  );
}

/** A property that may be missing. */
export function optional<T>(of: Schema<T>): OptionalSchema<T> {
  return { schema: of.schema, optional: true };
}

/**
 * A value or null. It stands for what may be missing from a final answer, where a provider insists on every property:
 * OpenAI's does.
 */
export function nullable<T>(of: Schema<T>): Schema<T | null> {
  return { schema: { anyOf: [of.schema, { type: "null" }] }, optional: false };
}

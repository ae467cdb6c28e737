interface Process {
  env?: Record<string, string | undefined>;
  versions?: { node?: string };
}

function processOf(): Process | undefined {
  return (globalThis as { process?: Process }).process;
}

/** A variable of the environment; undefined where it is blank, or where there is no environment that may be read. */
export function readEnvironment(name: string): string | undefined {
  try {
    return given(processOf()?.env?.[name]);
  } catch {
    return undefined; // a runtime that asks for leave before it shows a variable
  }
}

/** The text without white space around it; undefined where nothing is left. */
export function given(value: string | undefined): string | undefined {
  const text = value?.trim();
  return text === "" ? undefined : text;
}

/** Whether this is Node.js, or says so. */
export function isNode(): boolean {
  return typeof processOf()?.versions?.node === "string";
}

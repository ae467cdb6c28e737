import { node } from "#platform";
import { hexOfSha256 } from "./identity.js";
import type { NodePlatform } from "./platform.js";
import { encodeRunState, parseRunState, type RunState } from "./state.js";
import type { RunStore } from "./store.js";

const NAME_CHARS_MAX = 200;

/**
 * Keeps each run in a JSON file of a folder, readable by its owner alone. A state is there wholly or not at all: it is
 * written beside the file, brought to the disk, and then put in its place. For Node.js.
 */
export class FileRunStore implements RunStore {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async save(state: RunState): Promise<void> {
    const { mkdir, open, rename, rm } = await nodePlatform().files();
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const path = await this.#pathOf(state.run.id);
    const beside = `${path}.${process.pid}-${nextNumber()}.tmp`;
    try {
      const file = await open(beside, "wx", 0o600);
      try {
        await file.writeFile(`${encodeRunState(state)}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(beside, path);
    } catch (error) {
      await rm(beside, { force: true });
      throw error;
    }
    await syncFolder(this.#folder);
  }

  async load(runId: string): Promise<RunState | undefined> {
    const { readFile } = await nodePlatform().files();
    let saved: string;
    try {
      saved = await readFile(await this.#pathOf(runId), "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
    const state = parseRunState(saved);
    if (state.run.id !== runId) throw new Error(`the file of run "${runId}" has run "${state.run.id}"`);
    return state;
  }

  async #pathOf(runId: string): Promise<string> {
    const { join } = await nodePlatform().path();
    return join(this.#folder, await stateFileName(runId));
  }
}

/** The name of a run's file: never a path, and the same in each language. */
export async function stateFileName(runId: string): Promise<string> {
  const bytes = new TextEncoder().encode(runId);
  const name = Array.from(bytes, (byte, at) => {
    const character = String.fromCharCode(byte);
    const plain = /[A-Za-z0-9_-]/.test(character) || (character === "." && at > 0);
    return plain ? character : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }).join("");
  return `${name.length > NAME_CHARS_MAX ? `sha256-${await hexOfSha256(runId)}` : name}.json`;
}

function nodePlatform(): NodePlatform {
  if (node === undefined) throw new Error("this runtime has no files: keep runs in another store");
  return node;
}

let numbers = 0;

function nextNumber(): number {
  return (numbers += 1);
}

/** Bring the new name to the disk, where the system lets a folder be opened. */
async function syncFolder(folder: string): Promise<void> {
  const { open } = await nodePlatform().files();
  try {
    const opened = await open(folder, "r");
    await opened.sync().finally(() => opened.close());
  } catch {
    // Windows opens no folders; there a rename is kept by itself.
  }
}

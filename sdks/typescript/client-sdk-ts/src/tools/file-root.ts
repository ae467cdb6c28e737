import type { FileSandbox } from "../types/tool.js";
import { nodePlatform } from "./node-platform.js";

/** The largest file that is read or written: 1 MiB. */
export const DefaultFileMaxBytes = 1 << 20;

/** The most entries that are listed, and files that are found. */
export const DefaultSearchLimit = 200;

/** The absolute root of a file sandbox: the working directory where it names none. */
export function absRoot(sandbox: FileSandbox): string {
  const { path, cwd } = nodePlatform();
  return path.resolve(sandbox.root || cwd());
}

/** The bytes that are read or written at most. */
export function fileBytesMax(sandbox: FileSandbox): number {
  const max = sandbox.maxBytes ?? 0;
  return max > 0 ? max : DefaultFileMaxBytes;
}

import { node } from "#platform";
import type { NodePlatform } from "../platform.js";

/** Node.js, for what needs it. */
export function nodePlatform(): NodePlatform {
  if (node === undefined) throw new Error("this runtime has no files and processes: it needs Node.js");
  return node;
}

/** Whether there are files and processes. */
export function hasNodePlatform(): boolean {
  return node !== undefined;
}

/** Why the system refused, without the paths of this machine that its messages name. */
export function systemReason(error: unknown): string {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  switch (code) {
    case "ENOENT":
      return "no such file or folder";
    case "EACCES":
    case "EPERM":
      return "the system does not permit it";
    case "ENOTDIR":
      return "a part of the path is no folder";
    case "EISDIR":
      return "it is a folder";
    case "ELOOP":
      return "the path leads through a symbolic link";
    default:
      if (code !== undefined) return code;
      return error instanceof Error ? error.message : String(error);
  }
}

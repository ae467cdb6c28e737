import type { FileHandle } from "node:fs/promises";
import type { FileSandbox } from "../types/tool.js";
import { absRoot } from "./file-root.js";
import { nodePlatform, systemReason } from "./node-platform.js";

/** A place of the sandbox: the path as the model knows it, and as the system does, without symbolic links. */
export interface Place {
  relative: string;
  absolute: string;
}

/**
 * The place of a path that the model gave. What is absolute, or leads out of the root by `..` or a symbolic link, is
 * refused. What is not there yet is looked for from the nearest folder above it that is.
 */
export async function placeInside(sandbox: FileSandbox, given: string): Promise<Place> {
  const { fs, path } = nodePlatform();
  const relative = relativePath(given);
  const root = await fs.promises.realpath(absRoot(sandbox));
  const missing: string[] = [];
  let known = path.join(root, relative);
  for (;;) {
    const real = await realPath(known);
    if (real !== undefined) {
      if (!isBelow(root, real)) throw new Error(`path ${quoted(given)} leads out of the workspace by a symbolic link`);
      return { relative, absolute: path.join(real, ...missing) };
    }
    missing.unshift(path.basename(known));
    known = path.dirname(known);
    if (!isBelow(root, known)) throw new Error(`path ${quoted(given)} leads out of the workspace`);
  }
}

/** The path below the root with slashes, `.` for the root itself. */
function relativePath(given: string): string {
  const { path } = nodePlatform();
  if (given.includes("\0")) throw new Error("path has a NUL character");
  if (path.isAbsolute(given) || path.win32.parse(given).root !== "") {
    throw new Error(`path ${quoted(given)} is absolute: give one below the workspace`);
  }
  const clean = path.posix.normalize(given.split(path.sep).join("/")).replace(/(?<=.)\/$/, "");
  if (clean === ".." || clean.startsWith("../")) throw new Error(`path ${quoted(given)} leads out of the workspace`);
  return clean;
}

/** Where a path really is; undefined where nothing is. A link to nothing is refused: it could lead anywhere. */
async function realPath(known: string): Promise<string | undefined> {
  const { fs } = nodePlatform();
  try {
    return await fs.promises.realpath(known);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const link = await fs.promises.lstat(known).catch(() => undefined);
  if (link?.isSymbolicLink()) throw new Error("the path leads through a symbolic link to nothing");
  return undefined;
}

function isBelow(root: string, absolute: string): boolean {
  const { path } = nodePlatform();
  const way = path.relative(root, absolute);
  return way === "" || (way !== ".." && !way.startsWith(`..${path.sep}`) && !path.isAbsolute(way));
}

function quoted(given: string): string {
  return JSON.stringify(given.slice(0, 200));
}

/**
 * Open a regular file of the sandbox. Others are refused and never waited for, and the last part of the path is not
 * followed if it became a symbolic link since it was looked at. The caller closes it.
 */
export async function openRegular(place: Place, mode: "read" | "write"): Promise<FileHandle> {
  const { fs } = nodePlatform();
  const { O_RDONLY, O_WRONLY, O_CREAT, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = fs.constants;
  const flags = (mode === "read" ? O_RDONLY : O_WRONLY | O_CREAT) | O_NOFOLLOW | O_NONBLOCK;
  const file = await fs.promises.open(place.absolute, flags, 0o644);
  try {
    if (!(await file.stat()).isFile()) throw new Error(`${quoted(place.relative)} is no regular file`);
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Run a file tool; its errors are named after it, and name no path of this machine. */
export async function asFileTool<T>(tool: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    const reason = systemReason(error);
    throw new Error(reason.startsWith(`${tool}: `) ? reason : `${tool}: ${reason}`);
  }
}

import type { FileSandbox, Tool } from "../types/tool.js";
import { optionalTextArgument, textParameters } from "./arguments.js";
import { DefaultSearchLimit } from "./file-root.js";
import { asFileTool, placeInside } from "./file-sandbox.js";
import { nodePlatform } from "./node-platform.js";

/** How many names of one folder are looked at. */
const NAMES_MAX = 200_000;

/** A tool: lists a folder of the sandbox by name, as `{ path, entries: [{ name, dir, bytes }], truncated }`. */
export function listDir(sandbox: FileSandbox): Tool {
  return {
    name: "list_dir",
    description: "List a folder of the workspace.",
    parameters: textParameters(
      { path: "The folder's path below the workspace; the workspace itself where it is left out." },
      [],
    ),
    execute: (input) =>
      asFileTool("list_dir", () => listFolder(sandbox, optionalTextArgument("list_dir", input, "path") || ".")),
  };
}

async function listFolder(sandbox: FileSandbox, path: string): Promise<Record<string, unknown>> {
  const node = nodePlatform();
  const place = await placeInside(sandbox, path);
  const found: { name: string; dir: boolean; regular: boolean }[] = [];
  let truncated = false;
  for await (const entry of await node.fs.promises.opendir(place.absolute)) {
    if (found.length === NAMES_MAX) {
      truncated = true;
      break;
    }
    found.push({ name: entry.name, dir: entry.isDirectory(), regular: entry.isFile() });
  }
  found.sort((a, b) => (a.name < b.name ? -1 : 1));
  truncated ||= found.length > DefaultSearchLimit;
  const entries = [];
  for (const { name, dir, regular } of found.slice(0, DefaultSearchLimit)) {
    const told = regular
      ? await node.fs.promises.lstat(node.path.join(place.absolute, name)).catch(() => undefined)
      : undefined;
    entries.push({ name, dir, bytes: told?.size ?? 0 });
  }
  return { path: place.relative, entries, truncated };
}

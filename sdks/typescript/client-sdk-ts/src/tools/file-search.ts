import type { FileSandbox, Tool } from "../types/tool.js";
import { textArgument, textParameters, utf8Bytes } from "./arguments.js";
import { DefaultSearchLimit } from "./file-root.js";
import { asFileTool, placeInside } from "./file-sandbox.js";
import { nodePlatform } from "./node-platform.js";

const PATTERN_BYTES_MAX = 1 << 10;
/** How many names one search looks at. */
const NAMES_MAX = 200_000;

/**
 * A tool: finds files of the sandbox by a pattern of their name, as `{ pattern, matches, count, truncated }`. Symbolic
 * links are not followed.
 */
export function fileSearch(sandbox: FileSandbox): Tool {
  return {
    name: "file_search",
    description: "Find files of the workspace by name.",
    parameters: textParameters(
      { pattern: "A pattern of the file's name, in which * stands for any text and ? for one character." },
      ["pattern"],
    ),
    execute: (input) =>
      asFileTool("file_search", () => searchFiles(sandbox, textArgument("file_search", input, "pattern"))),
  };
}

async function searchFiles(sandbox: FileSandbox, pattern: string): Promise<Record<string, unknown>> {
  if (pattern === "" || utf8Bytes(pattern) > PATTERN_BYTES_MAX || /[/\\]/.test(pattern)) {
    throw new Error(`pattern must be 1 to ${PATTERN_BYTES_MAX} bytes of a file's name, without slashes`);
  }
  const node = nodePlatform();
  const matches: string[] = [];
  const folders = [(await placeInside(sandbox, ".")).absolute];
  const root = folders[0] as string;
  let seen = 0;
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const names = await node.fs.promises.opendir(folder).catch(() => undefined);
    if (names === undefined) continue; // a folder that cannot be read has no matches
    for await (const entry of names) {
      const path = node.path.join(folder, entry.name);
      const found = !entry.isDirectory() && matchesGlob(pattern, entry.name);
      if (++seen > NAMES_MAX || (found && matches.length === DefaultSearchLimit)) {
        return result(pattern, matches, true);
      }
      if (entry.isDirectory()) folders.push(path);
      if (found) matches.push(node.path.relative(root, path).split(node.path.sep).join("/"));
    }
  }
  return result(pattern, matches, false);
}

function result(pattern: string, matches: string[], truncated: boolean): Record<string, unknown> {
  return { pattern, matches: matches.sort(), count: matches.length, truncated };
}

/** Whether a name fits; it goes back to the last star only, so that no pattern takes long. */
export function matchesGlob(pattern: string, name: string): boolean {
  let at = 0;
  let read = 0;
  let star = -1;
  let resume = 0;
  while (read < name.length) {
    if (pattern[at] === "*") {
      star = at++;
      resume = read;
    } else if (at < pattern.length && (pattern[at] === "?" || pattern[at] === name[read])) {
      at++;
      read++;
    } else if (star >= 0) {
      at = star + 1;
      read = ++resume;
    } else {
      return false;
    }
  }
  while (pattern[at] === "*") at++;
  return at === pattern.length;
}

import type { FileSandbox, Tool } from "../types/tool.js";
import { textArgument, textParameters } from "./arguments.js";
import { fileBytesMax } from "./file-root.js";
import { asFileTool, openRegular, placeInside } from "./file-sandbox.js";

/**
 * A tool: reads a text file of the sandbox, as `{ path, content, bytes }`. Of a file over `maxBytes` it gives the
 * beginning, and says so by `truncated: true`.
 */
export function fileRead(sandbox: FileSandbox): Tool {
  return {
    name: "file_read",
    description: "Read a text file of the workspace.",
    parameters: textParameters({ path: "The file's path below the workspace." }, ["path"]),
    execute: (input) => asFileTool("file_read", () => readFile(sandbox, textArgument("file_read", input, "path"))),
  };
}

async function readFile(sandbox: FileSandbox, path: string): Promise<Record<string, unknown>> {
  if (path === "") throw new Error("path is empty");
  const place = await placeInside(sandbox, path);
  const file = await openRegular(place, "read");
  try {
    // One byte more than is given tells whether there is more; the size that the system tells may be wrong.
    const max = fileBytesMax(sandbox);
    const size = (await file.stat()).size;
    const buffer = new Uint8Array(Math.min(max, Math.max(size, 4096)) + 1);
    let length = 0;
    while (length < buffer.length) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
      if (bytesRead === 0) break;
      length += bytesRead;
    }
    const truncated = length === buffer.length;
    const end = truncated ? endOfCharacter(buffer, length - 1) : length;
    const content = new TextDecoder("utf-8", { ignoreBOM: true }).decode(buffer.subarray(0, end));
    return { path: place.relative, content, bytes: end, ...(truncated && { truncated }) };
  } finally {
    await file.close();
  }
}

/** The nearest end at or before one that cuts no character of UTF-8 in two. */
function endOfCharacter(buffer: Uint8Array, end: number): number {
  let start = end;
  while (start > 0 && end - start < 4 && ((buffer[start] ?? 0) & 0xc0) === 0x80) start--;
  return start;
}

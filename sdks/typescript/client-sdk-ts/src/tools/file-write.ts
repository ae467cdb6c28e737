import type { FileSandbox, Tool } from "../types/tool.js";
import { textArgument, textParameters, utf8Bytes } from "./arguments.js";
import { fileBytesMax } from "./file-root.js";
import { asFileTool, openRegular, placeInside } from "./file-sandbox.js";
import { nodePlatform } from "./node-platform.js";

/**
 * A tool: writes a file of the sandbox with the folders above it, as `{ path, bytes }`. Gate it with `gateFileWrite`.
 */
export function fileWrite(sandbox: FileSandbox): Tool {
  return {
    name: "file_write",
    description: "Write a text file of the workspace; one that is there is replaced.",
    parameters: textParameters({ path: "The file's path below the workspace.", content: "The whole content." }, [
      "path",
      "content",
    ]),
    execute: (input) =>
      asFileTool("file_write", () =>
        writeFile(sandbox, textArgument("file_write", input, "path"), textArgument("file_write", input, "content")),
      ),
  };
}

async function writeFile(sandbox: FileSandbox, path: string, content: string): Promise<Record<string, unknown>> {
  const node = nodePlatform();
  const max = fileBytesMax(sandbox);
  const bytes = utf8Bytes(content);
  if (path === "") throw new Error("path is empty");
  if (bytes > max) throw new Error(`content is over ${max} bytes`);
  const place = await placeInside(sandbox, path);
  if (place.relative === ".") throw new Error("it is a folder");
  await node.fs.promises.mkdir(node.path.dirname(place.absolute), { recursive: true });
  // A folder above may have become a link since: the place is looked up anew, and must be the same.
  if ((await placeInside(sandbox, path)).absolute !== place.absolute) throw new Error("the path changed meanwhile");
  const file = await openRegular(place, "write");
  try {
    await file.truncate(0);
    await file.writeFile(content, "utf8");
  } finally {
    await file.close();
  }
  return { path: place.relative, bytes };
}

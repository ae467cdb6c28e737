import type * as childProcess from "node:child_process";
import type * as crypto from "node:crypto";
import type * as fs from "node:fs";
import type * as path from "node:path";

/** What is used of Node.js. It is looked up by `#platform` of package.json, so that other runtimes never load it. */
export interface NodePlatform {
  fs: typeof fs;
  path: typeof path;
  childProcess: typeof childProcess;
  crypto: typeof crypto;
  cwd(): string;
}

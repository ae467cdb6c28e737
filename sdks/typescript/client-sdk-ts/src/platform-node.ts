import * as childProcess from "node:child_process";
import * as crypto from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import type { NodePlatform } from "./platform.js";

/** Node.js, and the runtimes that say they are like it. */
export const node: NodePlatform | undefined = { fs, path, childProcess, crypto, cwd: () => process.cwd() };

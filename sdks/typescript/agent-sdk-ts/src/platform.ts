import type * as crypto from "node:crypto";
import type * as dns from "node:dns";
import type * as files from "node:fs/promises";
import type * as http from "node:http";
import type * as https from "node:https";
import type * as path from "node:path";

/**
 * What is used of Node.js, each loaded when it is needed. It is looked up by `#platform` of package.json, so that other
 * runtimes and their bundlers never see it.
 */
export interface NodePlatform {
  crypto(): Promise<typeof crypto>;
  dns(): Promise<typeof dns>;
  files(): Promise<typeof files>;
  http(): Promise<typeof http>;
  https(): Promise<typeof https>;
  path(): Promise<typeof path>;
}

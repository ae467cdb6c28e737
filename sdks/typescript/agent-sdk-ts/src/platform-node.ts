import type { NodePlatform } from "./platform.js";

/** Node.js, and the runtimes that say they are like it. */
export const node: NodePlatform | undefined = {
  crypto: () => import("node:crypto"),
  dns: () => import("node:dns"),
  files: () => import("node:fs/promises"),
  http: () => import("node:http"),
  https: () => import("node:https"),
  path: () => import("node:path"),
};

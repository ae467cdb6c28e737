import type { NodePlatform } from "./platform.js";

/** A browser, an edge runtime: no files, no processes. */
export const node: NodePlatform | undefined = undefined;

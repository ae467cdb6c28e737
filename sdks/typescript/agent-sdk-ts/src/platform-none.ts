import type { NodePlatform } from "./platform.js";

/** A browser, an edge runtime. */
export const node: NodePlatform | undefined = undefined;

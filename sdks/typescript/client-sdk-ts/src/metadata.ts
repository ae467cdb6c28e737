import { isObject } from "./json.js";
import { ORCHESTRATION_FINAL_TASK_ID } from "./orchestration-final.js";
import type { CallMetadata } from "./types/metadata.js";

/**
 * What the gateway says of an answer or a chunk: tier, billing, latency, request id. Of an orchestrated answer the row
 * of its final stage, else the first one. Undefined where there is none, as on all chunks of a stream but the last.
 */
export function callMetadata(answer: { metadata?: unknown } | null | undefined): CallMetadata | undefined {
  const metadata = answer?.metadata;
  if (isObject(metadata)) return metadata as CallMetadata;
  if (!Array.isArray(metadata)) return undefined;
  const rows = metadata.filter(isObject);
  return (rows.find((row) => row["task_id"] === ORCHESTRATION_FINAL_TASK_ID) ?? rows[0]) as CallMetadata | undefined;
}

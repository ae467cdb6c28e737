import type { CallOptions } from "@joytoken/client-sdk-ts";
import type { ModelRequest } from "./types.js";

/**
 * The names of a call. A durable one is finished by the gateway also where its caller dies, so that whoever resumes the
 * run gets the answer that was paid for.
 */
export function callOptionsOf(request: ModelRequest): CallOptions {
  return {
    ...(request.signal !== undefined && { signal: request.signal }),
    ...(request.idempotencyKey !== undefined && { idempotencyKey: request.idempotencyKey }),
    ...(request.run !== undefined && { run: request.run }),
    ...(request.durable === true && { onDisconnect: "finish" as const }),
  };
}

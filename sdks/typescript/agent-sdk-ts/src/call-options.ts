import type { CallOptions, JoyTokenClient } from "@joytoken/client-sdk-ts";
import type { ModelRequest } from "./types.js";

/** The names of a call, and what becomes of it when nobody waits for it any more. */
export function callOptionsOf(request: ModelRequest, client: JoyTokenClient): CallOptions {
  const onDisconnect = onDisconnectOf(request, client);
  return {
    ...(request.signal !== undefined && { signal: request.signal }),
    ...(request.idempotencyKey !== undefined && { idempotencyKey: request.idempotencyKey }),
    ...(request.run !== undefined && { run: request.run }),
    ...(onDisconnect !== undefined && { onDisconnect }),
  };
}

/**
 * A durable call is finished by the gateway, so that whoever resumes the run gets the answer that was paid for. Any
 * other ends with its caller, unless the client would make it again and then wants that answer.
 */
function onDisconnectOf({ durable }: ModelRequest, { maxRetries }: JoyTokenClient): CallOptions["onDisconnect"] {
  if (durable === true) return "finish";
  return maxRetries > 0 ? undefined : "stop";
}

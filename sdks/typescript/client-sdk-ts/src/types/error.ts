import type { JoyTokenProtocol } from "./model.js";

/**
 * The kind of a failure. By status: 429 `rate_limited`, 401 `authentication`, 402 `insufficient_quota`, 403
 * `permission`, 404 `not_found`, 409 `conflict`, 400 and 422 `invalid_request`, 5xx `server_error`, others `unknown`.
 * `timeout` and `network` are failures without an answer.
 */
export type ErrorCode =
  | "rate_limited"
  | "authentication"
  | "insufficient_quota"
  | "permission"
  | "not_found"
  | "conflict"
  | "invalid_request"
  | "server_error"
  | "timeout"
  | "network"
  | "unknown";

/** A tool call as the context of an error tells it: without its arguments. */
export interface JoyTokenToolCallDiagnostic {
  id: string;
  name: string;
  hasThoughtSignature: boolean;
  hasExtraContent: boolean;
}

/** Where in a model call or tool loop an error came. */
export interface JoyTokenErrorContext {
  protocol: JoyTokenProtocol;
  phase: "initial_request" | "tool_continuation" | "repair_continuation";
  /** The request of the loop, from 1. */
  requestNumber: number;
  /** The round of tools whose results were sent, from 1. */
  toolStep?: number | undefined;
  toolCalls?: JoyTokenToolCallDiagnostic[] | undefined;
}

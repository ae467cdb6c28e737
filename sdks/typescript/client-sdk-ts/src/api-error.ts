import { isObject, textOf } from "./json.js";
import type { ErrorCode, JoyTokenErrorContext } from "./types/error.js";

const MESSAGE_CHARACTERS_MAX = 4096;

/** What a `JoyTokenAPIError` is made of. */
export interface JoyTokenAPIErrorOptions {
  status: number;
  code: ErrorCode;
  responseHeaders: Headers;
  body: unknown;
  requestId?: string | undefined;
  context?: JoyTokenErrorContext | undefined;
  /** What was behind it, such as a failed connection. */
  cause?: unknown;
}

/** A call that failed: an answer that is an error, or none at all. */
export class JoyTokenAPIError extends Error {
  override readonly name = "JoyTokenAPIError";
  /** The HTTP status; 0 where no answer came. */
  readonly status: number;
  readonly code: ErrorCode;
  /** The id under which the gateway knows the request. */
  readonly requestId?: string | undefined;
  readonly responseHeaders: Headers;
  /** The parsed JSON of the answer, else its text; undefined where it was empty. */
  readonly body: unknown;
  /** Where in a model call it happened. */
  readonly context?: JoyTokenErrorContext | undefined;
  /** The gateway's own kind of the error, such as `policy_rejected`. */
  readonly errorType?: string | undefined;
  /** The gateway's own word for the error, such as `tier_not_allowed`. */
  readonly errorCode?: string | undefined;
  /** The field of the request that is at fault. */
  readonly param?: string | undefined;

  constructor(message: string, options: JoyTokenAPIErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.status = options.status;
    this.code = options.code;
    this.requestId = options.requestId;
    this.responseHeaders = options.responseHeaders;
    this.body = options.body;
    this.context = options.context;
    const detail = errorDetail(options.body);
    this.errorType = textOf(detail?.["type"]);
    this.errorCode = textOf(detail?.["code"]);
    this.param = textOf(detail?.["param"]);
  }
}

/** The object that tells of the error: `error` of the body, or the body itself. */
function errorDetail(body: unknown): Record<string, unknown> | undefined {
  if (!isObject(body)) return undefined;
  return isObject(body["error"]) ? body["error"] : body;
}

/** The coarse code of an HTTP status. */
export function errorCodeOf(status: number): ErrorCode {
  switch (status) {
    case 400:
    case 422:
      return "invalid_request";
    case 401:
      return "authentication";
    case 402:
      return "insufficient_quota";
    case 403:
      return "permission";
    case 404:
      return "not_found";
    case 409:
      return "conflict";
    case 429:
      return "rate_limited";
    default:
      return status >= 500 && status <= 599 ? "server_error" : "unknown";
  }
}

/** What a failed answer says, in one text. */
export function errorMessageOf(body: unknown, status: number): string {
  const message = wordsOf(body) ?? `JoyToken API request failed with status ${status}`;
  return message.length > MESSAGE_CHARACTERS_MAX ? `${message.slice(0, MESSAGE_CHARACTERS_MAX)}…` : message;
}

function wordsOf(body: unknown): string | undefined {
  if (!isObject(body)) return textOf(body);
  const error = body["error"];
  const message = textOf(error) ?? (isObject(error) ? textOf(error["message"]) : undefined) ?? textOf(body["message"]);
  return message ?? (error === undefined || error === null ? undefined : JSON.stringify(error));
}

/** The gateway's id of the request, by the headers of its answer. */
export function requestIdOf(headers: Headers): string | undefined {
  return textOf(headers.get("x-request-id")) ?? textOf(headers.get("x-daoe-request-id"));
}

import { errorCodeOf, errorMessageOf, JoyTokenAPIError, requestIdOf } from "./api-error.js";
import { isObject } from "./json.js";
import type { Received } from "./transport.js";
import type { ChatCompletionChunk, ChatCompletionResponse } from "./types/chat.js";
import type { JoyTokenErrorContext } from "./types/error.js";

/** Throw the error that an answer or an event holds, though its status says that all is well. */
function throwError({ value, status, headers }: Received, context: JoyTokenErrorContext | undefined): void {
  if (!isObject(value)) throw new Error("JoyToken Chat answer or event is no JSON object");
  const error = value["error"];
  if (error === null || error === undefined) return;
  throw new JoyTokenAPIError(`JoyToken Chat stream error: ${errorMessageOf({ error }, status)}`, {
    status,
    code: errorCodeOf(status),
    requestId: requestIdOf(headers),
    responseHeaders: headers,
    body: error,
    context,
  });
}

/** The chat completion of an answer. */
export function chatResponseOf(received: Received, context: JoyTokenErrorContext | undefined): ChatCompletionResponse {
  throwError(received, context);
  const response = received.value as ChatCompletionResponse;
  return Array.isArray(response.choices) ? response : { ...response, choices: [] };
}

/** The chunk of an event: there are always `choices`, each with an `index` and a `delta`. */
export function chatChunkOf(received: Received, context: JoyTokenErrorContext | undefined): ChatCompletionChunk {
  throwError(received, context);
  const event = received.value as Partial<ChatCompletionChunk>;
  const choices = Array.isArray(event.choices) ? event.choices : [];
  return {
    ...event,
    choices: choices.map((choice, position) => ({
      ...choice,
      index: typeof choice?.index === "number" ? choice.index : position,
      delta: isObject(choice?.delta) ? choice.delta : {},
    })),
  };
}

import type { JoyTokenAPIError } from "@joytoken/client-sdk-ts";

/** An error by which the gateway refuses a run for money or policy; undefined for every other error. */
export function refusalOf(error: unknown): JoyTokenAPIError | undefined {
  // Told by its name: a program may have the client's package twice.
  if (!(error instanceof Error) || error.name !== "JoyTokenAPIError") return undefined;
  const refusal = error as JoyTokenAPIError;
  if (refusal.errorType === "invalid_api_key" || refusal.errorCode === "invalid_api_key") return undefined;
  return refusal.status === 402 || refusal.status === 403 ? refusal : undefined;
}

/** Why such a run ended: `<type>:<code>`. */
export function reasonOfRefusal(refusal: JoyTokenAPIError): string {
  const type = refusal.errorType ?? refusal.code;
  return refusal.errorCode === undefined ? type : `${type}:${refusal.errorCode}`;
}

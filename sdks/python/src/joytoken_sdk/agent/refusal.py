"""Errors by which the gateway ends a run instead of failing it."""

from joytoken_sdk.errors import JoyTokenAPIError, error_of


def refusal_of(error: BaseException) -> JoyTokenAPIError | None:
    """Return the refusal of a run for money or policy; None of every other error."""
    refusal = error_of(error)
    if refusal is None or refusal.status not in {402, 403}:
        return None
    return None if "invalid_api_key" in {refusal.error_type, refusal.error_code} else refusal


def reason_of(refusal: JoyTokenAPIError) -> str:
    """Return why such a run ended: `<type>:<code>`."""
    kind = refusal.error_type or refusal.code
    return kind if refusal.error_code is None else f"{kind}:{refusal.error_code}"

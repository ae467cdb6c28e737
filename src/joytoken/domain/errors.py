"""Refusals and failures as the outside sees them: status, type, code, and who is to blame.

GatewayError
 ├─ InvalidRequest        400 invalid_request_error
 ├─ MissingKey            401 missing_api_key
 ├─ InvalidKey            403 invalid_api_key
 ├─ InsufficientQuota     402 insufficient_quota   (wallet_empty, daily_limit, weekly_limit)
 ├─ PolicyRejected        403 policy_rejected
 ├─ NotFound              404 not_found_error      (unknown_path, unknown_model, unknown_request)
 ├─ MethodNotAllowed      405 method_not_allowed
 ├─ Conflict              409 conflict_error       (idempotency_in_progress, …)
 ├─ RateLimited           429 rate_limit_error
 ├─ RoutingFailed         502 routing_error
 ├─ UpstreamFailed        502 / 503 / 504 upstream_error
 ├─ Unavailable           503 service_unavailable
 └─ InternalError         500 internal_error
"""

from typing import ClassVar, Literal

Blame = Literal["client", "wallet", "provider", "gateway"]


class GatewayError(Exception):
    """An ending with a name. `code` is the finer stable word, `param` the field at fault."""

    status: ClassVar[int] = 500
    type: ClassVar[str] = "internal_error"
    blame: ClassVar[Blame] = "gateway"
    default_code: ClassVar[str] = "internal_error"

    def __init__(
        self,
        message: str,
        code: str | None = None,
        *,
        param: str | None = None,
        status: int | None = None,
        retry_after_s: int | None = None,
        details: dict[str, str | int] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.param = param
        self.http_status = status or self.status
        self.retry_after_s = retry_after_s
        self.details = details or {}


class InvalidRequest(GatewayError):
    """The caller's request cannot be served as it is."""

    status = 400
    type = "invalid_request_error"
    blame = "client"
    default_code = "invalid_request"


class MissingKey(GatewayError):
    """No key came with the request."""

    status = 401
    type = "missing_api_key"
    blame = "client"
    default_code = "missing_api_key"


class InvalidKey(GatewayError):
    """The key is unknown, revoked or expired."""

    status = 403
    type = "invalid_api_key"
    blame = "client"
    default_code = "invalid_api_key"


class InsufficientQuota(GatewayError):
    """A wallet, a daily or a weekly limit cannot carry the request."""

    status = 402
    type = "insufficient_quota"
    blame = "wallet"
    default_code = "wallet_empty"


class PolicyRejected(GatewayError):
    """The key's policy does not allow the request."""

    status = 403
    type = "policy_rejected"
    blame = "client"
    default_code = "policy_blocked"


class NotFound(GatewayError):
    """Nothing is served under this name."""

    status = 404
    type = "not_found_error"
    blame = "client"
    default_code = "not_found"


def no_request(request_id: str, dropped_month: str | None, param: str) -> NotFound:
    """The error of a request without a record; `dropped_month`: the month that it had, where that was dropped."""
    if dropped_month is None:
        return NotFound(f"there is no request {request_id!r}", "unknown_request", param=param)
    message = f"the requests of {dropped_month} were dropped; what there was of {request_id!r} went with them"
    return NotFound(message, "month_dropped", param=param)


class MethodNotAllowed(GatewayError):
    """The path is served, but not by this method."""

    status = 405
    type = "method_not_allowed"
    blame = "client"
    default_code = "method_not_allowed"


class Conflict(GatewayError):
    """The request contradicts the state that it would change."""

    status = 409
    type = "conflict_error"
    blame = "client"
    default_code = "conflict"


class RateLimited(GatewayError):
    """The key's requests or tokens a minute, or its concurrency, are used up."""

    status = 429
    type = "rate_limit_error"
    blame = "client"
    default_code = "rate_limited"


class RoutingFailed(GatewayError):
    """Candidates exist, but none of them can serve the request."""

    status = 502
    type = "routing_error"
    blame = "gateway"
    default_code = "no_candidate"


class UpstreamFailed(GatewayError):
    """The provider failed before the first byte, after all fallbacks."""

    status = 502
    type = "upstream_error"
    blame = "provider"
    default_code = "provider_failed"


class Unavailable(GatewayError):
    """The gateway cannot take this request now."""

    status = 503
    type = "service_unavailable"
    blame = "gateway"
    default_code = "unavailable"


class InternalError(GatewayError):
    """A defect of the gateway."""

"""Each refusal has one status, one type and one to blame."""

import inspect

import pytest

from joytoken.domain import errors
from joytoken.domain.errors import GatewayError, InsufficientQuota, RateLimited, UpstreamFailed

TABLE = [
    ("InvalidRequest", 400, "invalid_request_error", "client", "invalid_request"),
    ("MissingKey", 401, "missing_api_key", "client", "missing_api_key"),
    ("InvalidKey", 403, "invalid_api_key", "client", "invalid_api_key"),
    ("InsufficientQuota", 402, "insufficient_quota", "wallet", "wallet_empty"),
    ("PolicyRejected", 403, "policy_rejected", "client", "policy_blocked"),
    ("NotFound", 404, "not_found_error", "client", "not_found"),
    ("MethodNotAllowed", 405, "method_not_allowed", "client", "method_not_allowed"),
    ("Conflict", 409, "conflict_error", "client", "conflict"),
    ("RateLimited", 429, "rate_limit_error", "client", "rate_limited"),
    ("RoutingFailed", 502, "routing_error", "gateway", "no_candidate"),
    ("UpstreamFailed", 502, "upstream_error", "provider", "provider_failed"),
    ("Unavailable", 503, "service_unavailable", "gateway", "unavailable"),
    ("InternalError", 500, "internal_error", "gateway", "internal_error"),
]


@pytest.mark.parametrize(("name", "status", "kind", "blame", "code"), TABLE)
def test_errors(name, status, kind, blame, code):
    error = getattr(errors, name)("what went wrong")
    assert isinstance(error, GatewayError)
    assert (error.http_status, error.type, error.blame, error.code) == (status, kind, blame, code)
    assert (error.message, str(error)) == ("what went wrong", "what went wrong")
    assert (error.param, error.retry_after_s, error.details) == (None, None, {})


def test_the_table_and_the_tree_in_the_docstring_are_whole():
    classes = [c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, GatewayError)]
    assert {c.__name__ for c in classes} == {row[0] for row in TABLE} | {"GatewayError"}
    for name, status, kind, *_ in TABLE:
        line = next(line for line in errors.__doc__.splitlines() if f" {name} " in line)
        assert str(status) in line
        assert kind in line


def test_what_an_error_can_carry():
    error = RateLimited("slow down", "requests_per_minute", param="n", retry_after_s=7)
    assert (error.code, error.param, error.retry_after_s) == ("requests_per_minute", "n", 7)
    assert UpstreamFailed("late", status=504).http_status == 504
    assert InsufficientQuota("no", details={"required": "1"}).details == {"required": "1"}

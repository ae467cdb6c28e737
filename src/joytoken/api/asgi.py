"""The ASGI application: every endpoint but the hot one, which the server's edge answers before it gets here."""

import logging
from collections.abc import Iterable, Mapping, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount, Route, Router
from starlette.types import Scope

from joytoken.api.access import Access, Permit
from joytoken.api.answer import Envelope, refusal
from joytoken.api.catalog import Shop, Source, catalog_routes
from joytoken.api.head import HeadLimits
from joytoken.api.health import Check, Readiness, health_routes
from joytoken.api.openai_models import model_routes
from joytoken.api.own_key import KeyOf, own_key_routes
from joytoken.api.requests import DroppedOf, Lookup, PriceOf, RefundedOf, request_routes
from joytoken.api.runs import RunOf, run_routes
from joytoken.domain.errors import GatewayError, InternalError, InvalidRequest, MethodNotAllowed, NotFound, Unavailable
from joytoken.gateway.keyring import Keyring
from joytoken.store.engine import StoreUnavailable

_log = logging.getLogger(__name__)

_CHAT_COMPLETIONS = "/openai/v1/chat/completions"
_BASES = "the OpenAI API is at /openai/v1, the catalog, receipts and runs are at /api/v1"
_SHOWN_CHARS_MAX = 100  # of a caller's path in a message


def build_app(  # noqa: PLR0913 - what the application stands on, each by its name
    *,
    keyring: Keyring,
    snapshot: Source,
    permit: Permit,
    lookup: Lookup,
    price_of: PriceOf,
    key_of: KeyOf,
    run_of: RunOf,
    ready_checks: Mapping[str, Check],
    version: str,
    extra_routes: Sequence[BaseRoute] = (),
    limits: HeadLimits | None = None,
    correlation_id_chars_max: int = 128,
    refunded_of: RefundedOf | None = None,
    dropped_of: DroppedOf | None = None,
) -> Starlette:
    """The application.

    `permit` raises PolicyRejected where a key may not be used at all; `lookup` finds a usage record by its request id,
    `price_of` a row of the price book, `key_of` what a key's holder is told of it, `run_of` a run, `refunded_of` what
    was given back of a charge, and `dropped_of` the month of a request where that was dropped; `ready_checks` are what
    `/ready` reports, by name; `limits` are the edge's. `extra_routes` (the management API, the Console) may raise
    GatewayError as every endpoint here may.
    """
    access = Access(keyring, permit, limits or HeadLimits())
    shop = Shop(snapshot)
    routes = [
        *health_routes(version, Readiness(ready_checks)),
        *catalog_routes(shop, access),
        *own_key_routes(access, key_of),
        *run_routes(access, run_of),
        *request_routes(access, lookup, price_of, refunded_of, dropped_of),
        *model_routes(shop, access),
        Route(_CHAT_COMPLETIONS, _chat_completions, methods=["POST"]),
        *extra_routes,
    ]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Envelope, correlation_id_chars_max)],
        exception_handlers={
            GatewayError: _gateway_error,
            HTTPException: _http_error,
            StoreUnavailable: _store_unavailable,
        },
    )
    _refuse_redirects(app.router)
    return app


async def _chat_completions(request: Request) -> Response:
    # The edge takes this path by its bytes; only another spelling of it (percent-encoded, or with a host) comes here.
    raise NotFound(f"spell {request.scope['path']} plainly, without percent-encoding or host", "unknown_path")


async def _gateway_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, GatewayError)
    return refusal(error, request.scope)


async def _store_unavailable(request: Request, error: Exception) -> Response:
    _log.warning("the store is not available: %s", error)
    away = Unavailable("the database cannot be used now", "store_unavailable", retry_after_s=1)
    return refusal(away, request.scope)


async def _http_error(request: Request, error: Exception) -> Response:
    """What the framework itself refuses, in the contract's shape."""
    assert isinstance(error, HTTPException)
    scope = request.scope
    if error.status_code == 404:
        return refusal(_unknown_path(scope), scope)
    if error.status_code == 405:
        allowed = sorted(_allowed(request.app.routes, _from_the_root(scope)))
        spelled = ", ".join(allowed)
        answered = refusal(MethodNotAllowed(f"this path does not take {scope['method'][:20]}; use {spelled}"), scope)
        answered.headers["allow"] = spelled
        return answered
    if error.status_code < 500:
        return refusal(InvalidRequest(error.detail, status=error.status_code), scope)
    return refusal(InternalError(error.detail, status=error.status_code), scope)


def _unknown_path(scope: Scope) -> NotFound:
    path = scope["path"]
    shown = ascii(path if len(path) <= _SHOWN_CHARS_MAX else path[:_SHOWN_CHARS_MAX] + "…")
    return NotFound(f"nothing is served at {shown}; {_BASES}", "unknown_path")


def _from_the_root(scope: Scope) -> Scope:
    """The scope as it was before any mount looked at it."""
    return {**scope, "root_path": scope.get("app_root_path", scope.get("root_path", ""))}


def _allowed(routes: Iterable[BaseRoute], scope: Scope) -> set[str]:
    """The methods of all routes that serve a path; the framework names those of the first alone."""
    found: set[str] = set()
    for route in routes:
        match, child = route.matches(scope)
        if match is Match.NONE:
            continue
        if isinstance(route, Mount):
            found |= _allowed(route.routes, {**scope, **child})
        elif isinstance(route, Route):
            found |= route.methods or set()
    return found


def _refuse_redirects(router: Router) -> None:
    """A path with a slash too many is unknown: a redirect would turn a POST into a GET and hide the mistake."""
    router.redirect_slashes = False
    for route in router.routes:
        if isinstance(route, Mount) and isinstance(route.app, Router):
            _refuse_redirects(route.app)

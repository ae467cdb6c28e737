"""`GET /openai/v1/models`: the models that a key may use, as OpenAI's clients expect them."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from joytoken.api.access import Access
from joytoken.api.answer import answer
from joytoken.api.catalog import Shelf, Shop
from joytoken.domain.apikey import Policy
from joytoken.domain.errors import NotFound, Unavailable
from joytoken.routing.candidates import AUTO, Served, allowed_tiers

_PATH = "/openai/v1/models"
_SHOWN_CHARS_MAX = 100  # of a caller's name in a message


def model_routes(shop: Shop, access: Access) -> list[BaseRoute]:
    """The list, and one model by its public name, its alias or its unique last segment."""

    async def index(request: Request) -> Response:
        policy = access.principal(request.scope).policy
        shelf = _shelf(shop)
        shown = [_shown(served, shelf) for served in usable(shelf, policy)]
        return answer({"object": "list", "data": [_auto(shelf), *shown]})

    async def one(request: Request) -> Response:
        policy = access.principal(request.scope).policy
        shelf = _shelf(shop)
        name = "/".join(request.path_params.values())
        if name == AUTO:
            return answer(_auto(shelf))
        found = [served for served in shelf.index.named(name) if may_use(shelf, policy, served)]
        if len(found) != 1:
            raise _unknown_model(name)
        return answer(_shown(found[0], shelf))

    # Two patterns, as one of any depth would also take the list's own path with a slash too many.
    return [Route(_PATH, index), Route(_PATH + "/{name}", one), Route(_PATH + "/{vendor}/{name:path}", one)]


def usable(shelf: Shelf, policy: Policy) -> list[Served]:
    """The models that a policy allows and somebody serves, by name."""
    return [served for served in shelf.index.served.values() if may_use(shelf, policy, served)]


def may_use(shelf: Shelf, policy: Policy, served: Served) -> bool:
    """Whether a key with this policy can call the model by its public name."""
    index = shelf.index
    if served.off or served.model.tier not in allowed_tiers(policy):
        return False
    if policy.fixed_model and index.named(policy.fixed_model) != [served]:
        return False
    if policy.allow_models and served.name not in index.matching(policy.allow_models):
        return False
    return served.name not in index.matching(policy.deny_models)


def _shelf(shop: Shop) -> Shelf:
    shelf = shop.shelf()
    if shelf is None:
        raise Unavailable("the catalog is not available yet; try again in a moment", retry_after_s=1)
    return shelf


def _shown(served: Served, shelf: Shelf) -> dict[str, Any]:
    return _model(served.name, shelf, shelf.provider_of(served))


def _auto(shelf: Shelf) -> dict[str, Any]:
    return _model(AUTO, shelf, "joytoken")


def _model(name: str, shelf: Shelf, owner: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": shelf.catalog.updated_us // 1_000_000, "owned_by": owner}


def _unknown_model(name: str) -> NotFound:
    shown = ascii(name if len(name) <= _SHOWN_CHARS_MAX else name[:_SHOWN_CHARS_MAX] + "…")
    message = f"no model is served to this key as {shown}; GET {_PATH} lists what is"
    return NotFound(message, "unknown_model", param="model")

"""`GET /api/v1/key`: what the calling key may do, and what is left for it."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from joytoken.admin.own_key import OwnKey
from joytoken.api.access import Access
from joytoken.api.answer import answer
from joytoken.gateway.keyring import Principal

KeyOf = Callable[[Principal], Awaitable[OwnKey]]
"""What the holder of a key is told of it."""


def own_key_routes(access: Access, key_of: KeyOf) -> list[BaseRoute]:
    """The calling key itself."""

    async def show(request: Request) -> Response:
        return answer(await key_of(access.principal(request.scope)))

    return [Route("/api/v1/key", show)]

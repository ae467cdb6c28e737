"""`GET /api/v1/runs/{run_id}`: a run of an agent with its requests, for the keys of its owner."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from joytoken.admin.runs import RunTree
from joytoken.api.access import Access
from joytoken.api.answer import answer
from joytoken.domain.errors import NotFound

RunOf = Callable[[str, str], Awaitable[RunTree | None]]
"""The tree of a run by its owner and its id, with what has only just ended; None where that owner has none."""

_ID_CHARS_MAX = 1024  # what `gateway.run_id_chars_max` may be at most


def run_routes(access: Access, run_of: RunOf) -> list[BaseRoute]:
    """The runs of a key's owner."""

    async def show(request: Request) -> Response:
        owner = access.principal(request.scope).key.owner_id
        wanted: str = request.path_params["run_id"]
        found = await run_of(owner, wanted) if _may_be_a_run(wanted) else None
        if found is None:
            # One answer for both: that another owner has such a run is not told.
            message = "the owner of this key has no run with this id of which a request was recorded"
            raise NotFound(message, "unknown_run", param="run_id")
        return answer(found)

    # An id may have slashes in it.
    return [Route("/api/v1/runs/{run_id:path}", show)]


def _may_be_a_run(name: str) -> bool:
    return 1 <= len(name) <= _ID_CHARS_MAX and all("!" <= character <= "~" for character in name)

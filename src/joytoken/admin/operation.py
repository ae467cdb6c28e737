"""What an act of management is: a request, a result, and the one place that says how it is spelled in HTTP.

The management API, its OpenAPI description, the remote command line and the local one are all made from the table in
`operations.py`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec

from joytoken.admin.desk import Desk

Req = TypeVar("Req", bound=msgspec.Struct)
Res = TypeVar("Res", bound=msgspec.Struct)

IDEMPOTENCY_FIELD = "idempotency_key"
IDEMPOTENCY_HEADER = "Idempotency-Key"
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True)
class Operation(Generic[Req, Res]):
    """One act. Fields of the request that the path names stand there; the rest is the body, or the query."""

    name: str  # keys.create
    summary: str
    method: str
    path: str  # /keys/{id}, below the management API's root
    request: type[Req]
    response: type[Res]
    run: Callable[[Desk, Req], Res]
    status: int = 200

    @property
    def path_fields(self) -> tuple[str, ...]:
        """The request's fields that stand in the path."""
        return tuple(_PLACEHOLDER.findall(self.path))

    @property
    def idempotent(self) -> bool:
        """Whether an `Idempotency-Key` header is mandatory."""
        return IDEMPOTENCY_FIELD in self.request.__struct_fields__

    @property
    def body_fields(self) -> tuple[str, ...]:
        """The request's fields that stand in the body (or in the query, for GET and DELETE)."""
        elsewhere = (*self.path_fields, IDEMPOTENCY_FIELD)
        return tuple(name for name in self.request.__struct_fields__ if name not in elsewhere)

    @property
    def has_body(self) -> bool:
        """Whether the request has a body rather than a query."""
        return self.method not in {"GET", "DELETE"}

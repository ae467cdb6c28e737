"""`GET /api/v1/requests/{request_id}`: the receipt of a request, for the key that paid."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from joytoken.admin.receipts import receipt
from joytoken.api.access import Access
from joytoken.api.answer import answer
from joytoken.domain.errors import NotFound, no_request
from joytoken.domain.price import Price
from joytoken.domain.record import UsageRecord

Lookup = Callable[[str], Awaitable[UsageRecord | None]]
"""The usage record of a request id, also of one that has only just ended."""
PriceOf = Callable[[str], Awaitable[Price | None]]
"""The row of the price book with this id."""

RefundedOf = Callable[[str], Awaitable[int]]
"""What was given back of a request's charge, in nanocredits."""

DroppedOf = Callable[[str], Awaitable[str | None]]
"""The month of a request, by its id, where the records of that month were dropped."""

_REQUEST_ID = re.compile(r"req-[0-9a-f]{32}")
# What a provider costs is between it and the operator; whoever holds a key sees what they paid.
_OPERATORS = {
    "request": ("provider_cost_usd", "margin_usd"),
    "money": ("provider_cost_usd", "margin_usd"),
    "price": ("cost_usd", "cost_steps"),
}


def request_routes(
    access: Access,
    lookup: Lookup,
    price_of: PriceOf,
    refunded_of: RefundedOf | None = None,
    dropped_of: DroppedOf | None = None,
) -> list[BaseRoute]:
    """The receipts of a key's own requests."""

    async def show(request: Request) -> Response:
        principal = access.principal(request.scope)
        wanted: str = request.path_params["request_id"]
        record = await lookup(wanted) if _REQUEST_ID.fullmatch(wanted) else None
        if record is None or record.key_id != principal.key.key_id:
            month = await dropped_of(wanted) if record is None and dropped_of is not None else None
            if month is not None:
                raise no_request(wanted, month, "request_id")
            # One answer for both: that somebody else made such a request is not told.
            message = "this key has made no request with this id"
            raise NotFound(message, "unknown_request", param="request_id")
        price = await price_of(record.price_id) if record.price_id else None
        refunded = 0 if refunded_of is None else await refunded_of(wanted)
        return answer(payer_receipt(record, price, refunded))

    return [Route("/api/v1/requests/{request_id}", show)]


def payer_receipt(record: UsageRecord, price: Price | None, refunded: int = 0) -> dict[str, Any]:
    """A receipt as the payer sees it: all of it but the operator's own cost and margin."""
    document: dict[str, Any] = msgspec.to_builtins(receipt(record, price, refunded))
    for part, fields in _OPERATORS.items():
        if document[part] is not None:
            for field in fields:
                document[part].pop(field, None)
    return document

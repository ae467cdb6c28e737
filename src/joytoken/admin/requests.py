"""Requests: find them, follow them as they come, and show one with its receipt."""

from zoneinfo import ZoneInfo

import msgspec

from joytoken.admin.desk import Desk
from joytoken.admin.keys import find_key
from joytoken.admin.receipts import Receipt, RequestDocument, receipt, request_document
from joytoken.admin.times import parse_moment
from joytoken.domain.errors import InvalidRequest, no_request
from joytoken.domain.record import UsageRecord
from joytoken.store.usage_query import UsageQuery

PAGE_MAX = 1000
TAIL_MAX = 500


class UsageFilter(msgspec.Struct, kw_only=True):
    """Which requests count. Times are a distance back (24h, 30d), a day, or an ISO 8601 time."""

    key: str | None = None
    model: str | None = None
    provider: str | None = None
    tier: str | None = None
    project: str | None = None
    application: str | None = None
    environment: str | None = None
    task: str | None = None
    ending: str | None = None
    end_user: str | None = None
    correlation_id: str | None = None
    run: str | None = None  # an agent's run, without those below it
    workflow: str | None = None  # of the run
    since: str | None = None
    until: str | None = None
    zone: str | None = None  # of days without an offset; the reporting zone where left out


class RequestQuery(UsageFilter, kw_only=True):
    """A page of requests, newest first; `before` is the `next` of the page before."""

    limit: int = 50
    before: str | None = None


class RequestRef(msgspec.Struct):
    """A request by its id, or the newest with this correlation id."""

    id: str


class RequestPage(msgspec.Struct, kw_only=True):
    """Requests, newest first. `next` is the cursor of the page after, if there is one."""

    requests: list[RequestDocument]
    next: str | None = None


class TailQuery(msgspec.Struct, kw_only=True):
    """Requests that were recorded after a cursor; without one, none but the cursor to begin with."""

    after: int | None = None
    limit: int = 100


class RequestTail(msgspec.Struct, kw_only=True):
    """Requests in the order of their recording, and the cursor to go on with."""

    requests: list[RequestDocument]
    next: int


def list_requests(desk: Desk, request: RequestQuery) -> RequestPage:
    """A page of requests. Raises InvalidRequest, or NotFound for an unknown key."""
    if not 1 <= request.limit <= PAGE_MAX:
        raise InvalidRequest(f"a page has 1 to {PAGE_MAX} requests", param="limit")
    query = store_query(desk, request)
    records = desk.store.usage.list(query, limit=request.limit + 1, before=_cursor(request.before))
    page = records[: request.limit]
    more = len(records) > len(page)
    return RequestPage(
        requests=_documents(desk, page),
        next=f"{page[-1].started_us}.{page[-1].request_id}" if more else None,
    )


def show_request(desk: Desk, request: RequestRef) -> Receipt:
    """The receipt of a request. Raises NotFound."""
    record = desk.store.usage.get(request.id)
    if record is None:
        found = desk.store.usage.list(store_query(desk, UsageFilter(correlation_id=request.id)), limit=1, before=None)
        record = found[0] if found else None
    if record is None:
        raise no_request(request.id, desk.store.usage.dropped_month(request.id), "id")
    price = desk.store.catalog.price(record.price_id) if record.price_id else None
    return receipt(record, price, desk.store.usage.refunded([record.request_id]).get(record.request_id, 0))


def tail_requests(desk: Desk, request: TailQuery) -> RequestTail:
    """What was recorded since. Raises InvalidRequest."""
    if not 1 <= request.limit <= TAIL_MAX:
        raise InvalidRequest(f"a tail gives 1 to {TAIL_MAX} requests at a time", param="limit")
    if request.after is None:
        return RequestTail(requests=[], next=desk.store.usage.last_seq())
    rows = desk.store.usage.since(request.after, request.limit)
    return RequestTail(
        requests=_documents(desk, [record for _, record in rows]),
        next=rows[-1][0] if rows else request.after,
    )


def store_query(desk: Desk, filters: UsageFilter) -> UsageQuery:
    """The store's form of a filter. Raises InvalidRequest, or NotFound for an unknown key."""
    zone = zone_of(desk, filters)
    same = ("model", "provider", "tier", "project", "application", "environment", "task", "ending", "end_user")
    return UsageQuery(
        **{name: getattr(filters, name) for name in same},
        key_id=None if filters.key is None else find_key(desk, filters.key).key_id,
        correlation_id=filters.correlation_id,
        run_id=filters.run,
        workflow=filters.workflow,
        since_us=_moment(desk, filters.since, "since", zone),
        until_us=_moment(desk, filters.until, "until", zone),
    )


def zone_of(desk: Desk, filters: UsageFilter) -> str:
    """The time zone of a question: its own, else the reporting zone. Raises InvalidRequest."""
    zone = filters.zone or desk.settings.money.zone
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise InvalidRequest(
            f"{zone!r} is not a time zone such as Europe/Berlin", "unknown_zone", param="zone"
        ) from None
    return zone


def _documents(desk: Desk, records: list[UsageRecord]) -> list[RequestDocument]:
    back = desk.store.usage.refunded([record.request_id for record in records])
    return [request_document(record, back.get(record.request_id, 0)) for record in records]


def _cursor(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    started, _, request_id = text.partition(".")
    if not started.isdecimal() or not request_id:
        raise InvalidRequest("this is not the cursor of a page", param="before")
    return int(started), request_id


def _moment(desk: Desk, text: str | None, param: str, zone: str) -> int | None:
    return None if text is None else parse_moment(text, param, desk.now_us(), ahead=False, zone=zone)

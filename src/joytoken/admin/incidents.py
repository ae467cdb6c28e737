"""Incidents: what happened to money that an operator should know of, such as a node that was lost with its journal."""

import re
from typing import Any

import msgspec

from joytoken.admin.desk import Desk
from joytoken.admin.times import spell_optional, spell_time
from joytoken.domain.errors import InvalidRequest, NotFound
from joytoken.domain.money import format_amount
from joytoken.store.incident import IncidentRow
from joytoken.store.ledger_late import ABANDONED, Abandonment
from joytoken.store.usage_lost import MONTH_DROPPED, LostSettle

PAGE_MAX = 1000


class IncidentQuery(msgspec.Struct, kw_only=True):
    """A page of incidents, newest first; `before` is the `next` of the page before."""

    limit: int = 50
    before: int | None = None
    open: bool = False  # only those that are


class IncidentRef(msgspec.Struct, kw_only=True):
    """Which incident."""

    id: str


class IncidentDocument(msgspec.Struct, kw_only=True):
    """One incident. `closed` is null as long as it is open.

    Of kind `abandoned`: a node was silent for too long, and what it had leased (`returned`, credits by account) went
    back to the accounts. When its journal comes back, what that proves is charged late: `late_charged` credits, and
    `late_shortfall` of them that the accounts could not carry any more. Then the incident closes by itself.

    Of kind `month_dropped`: a worker brought requests of a month that was dropped, which were neither recorded nor
    charged; `detail` has each of them, with what it would have been charged.
    """

    id: int
    at: str
    kind: str
    subject: str  # worker/epoch
    closed: str | None
    host: str = ""
    returned: dict[str, str] = {}
    late_records: int = 0
    late_charged: str = "0"
    late_shortfall: str = "0"
    detail: Any = None  # of any other kind


class IncidentList(msgspec.Struct, kw_only=True):
    """Incidents, newest first."""

    incidents: list[IncidentDocument]
    next: int | None = None


def list_incidents(desk: Desk, request: IncidentQuery) -> IncidentList:
    """A page of incidents. Raises InvalidRequest."""
    if not 1 <= request.limit <= PAGE_MAX:
        raise InvalidRequest(f"a page has 1 to {PAGE_MAX} incidents", param="limit")
    rows = desk.store.incidents.list(request.limit + 1, request.before, open_only=request.open)
    page = rows[: request.limit]
    more = len(rows) > len(page)
    return IncidentList(incidents=[_document(row) for row in page], next=page[-1].id if more else None)


def close_incident(desk: Desk, request: IncidentRef) -> IncidentDocument:
    """Close an incident that will not close by itself: the node's disk is gone. Raises NotFound."""
    number = int(request.id) if re.fullmatch(r"\d{1,18}", request.id) else 0
    row = desk.store.incidents.close(number)
    if row is None:
        raise NotFound(f"there is no incident {request.id}", "unknown_incident", param="id")
    desk.note("incident.close", str(row.id))
    return _document(row)


def _document(row: IncidentRow) -> IncidentDocument:
    made = IncidentDocument(
        id=row.id, at=spell_time(row.at_us), kind=row.kind, subject=row.subject, closed=spell_optional(row.closed_us)
    )
    if row.kind == MONTH_DROPPED:
        lost = msgspec.json.decode(row.detail, type=list[LostSettle])
        made.detail = [
            {**msgspec.structs.asdict(one), "cost": format_amount(one.cost), "charged": format_amount(one.charged)}
            for one in lost
        ]
        return made
    if row.kind != ABANDONED:
        made.detail = msgspec.json.decode(row.detail) if row.detail else None
        return made
    told = msgspec.json.decode(row.detail, type=Abandonment)
    made.host = told.host
    made.returned = {name: format_amount(amount) for name, amount in told.returned.items()}
    made.late_records = told.late_records
    made.late_charged = format_amount(told.late_charged)
    made.late_shortfall = format_amount(told.late_shortfall)
    return made

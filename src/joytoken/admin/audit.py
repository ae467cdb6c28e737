"""The audit log: who changed what."""

from typing import Any

import msgspec

from joytoken.admin.desk import Desk
from joytoken.admin.times import spell_time
from joytoken.domain.errors import InvalidRequest

PAGE_MAX = 1000


class AuditQuery(msgspec.Struct, kw_only=True):
    """A page of changes, newest first; `before` is the `next` of the page before."""

    limit: int = 50
    before: int | None = None


class AuditDocument(msgspec.Struct, kw_only=True):
    """One change."""

    id: int
    at: str
    actor: str
    action: str
    subject: str
    before: Any
    after: Any


class AuditList(msgspec.Struct, kw_only=True):
    """Changes, newest first."""

    entries: list[AuditDocument]
    next: int | None = None


def list_audit(desk: Desk, request: AuditQuery) -> AuditList:
    """A page of changes. Raises InvalidRequest."""
    if not 1 <= request.limit <= PAGE_MAX:
        raise InvalidRequest(f"a page has 1 to {PAGE_MAX} entries", param="limit")
    rows = desk.store.audit.list(request.limit + 1, request.before)
    page = rows[: request.limit]
    return AuditList(
        entries=[
            AuditDocument(
                id=row.id,
                at=spell_time(row.at_us),
                actor=row.actor,
                action=row.action,
                subject=row.subject,
                before=_decoded(row.before),
                after=_decoded(row.after),
            )
            for row in page
        ],
        next=page[-1].id if len(rows) > len(page) else None,
    )


def _decoded(text: str) -> Any:
    return msgspec.json.decode(text) if text else None

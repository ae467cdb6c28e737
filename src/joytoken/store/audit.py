"""Who changed what, and when: rows that are only ever added."""

import msgspec
import sqlalchemy as sa

from joytoken.store.engine import Database
from joytoken.store.schema import audit


class AuditEntry(msgspec.Struct, frozen=True, gc=False):
    """One change by an administrator. `before` and `after` are JSON text, or "" where there was or is nothing."""

    id: int
    at_us: int
    actor: str
    action: str
    subject: str
    before: str
    after: str


class Audit:
    """The table of changes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, actor: str, action: str, subject: str, before: str, after: str, at_us: int) -> int:
        """Write one entry; returns its id."""
        with self._database.write(durable=True) as conn:
            return write_audit(conn, actor, action, subject, before, after, at_us)

    def list(self, limit: int = 100, before: int | None = None) -> list[AuditEntry]:
        """At most `limit` entries, newest first; `before` is the id of the last one of the page before."""
        query = sa.select(audit).order_by(audit.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(audit.c.id < before)
        with self._database.read() as conn:
            return [AuditEntry(*row) for row in conn.execute(query)]


def write_audit(
    conn: sa.Connection, actor: str, action: str, subject: str, before: str, after: str, at_us: int
) -> int:  # fmt: skip
    """Write one entry within the transaction that makes the change; returns its id."""
    values = {"actor": actor, "action": action, "subject": subject, "before": before, "after": after, "at_us": at_us}
    made: int = conn.execute(sa.insert(audit).returning(audit.c.id), values).scalar_one()
    return made

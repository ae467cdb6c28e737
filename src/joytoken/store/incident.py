"""Incidents: what an operator should know of, until it is closed."""

import msgspec
import sqlalchemy as sa

from joytoken.store.clock import now_us
from joytoken.store.engine import Database
from joytoken.store.schema import incident


class IncidentRow(msgspec.Struct, frozen=True, gc=False):
    """One incident. `detail` is JSON text; `closed_us` is None as long as it is open."""

    id: int
    at_us: int
    kind: str
    subject: str
    detail: str
    closed_us: int | None


class Incidents:
    """The table of incidents. What files one does so in the transaction that it is about."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def list(self, limit: int = 100, before: int | None = None, *, open_only: bool = False) -> list[IncidentRow]:
        """At most `limit` incidents, newest first; `before` is the id of the last one of the page before."""
        query = sa.select(incident).order_by(incident.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(incident.c.id < before)
        if open_only:
            query = query.where(incident.c.closed_us.is_(None))
        with self._database.read() as conn:
            return [IncidentRow(*row) for row in conn.execute(query)]

    def close(self, incident_id: int) -> IncidentRow | None:
        """Close an incident; one that is closed stays as it is. None where there is none."""
        with self._database.write(durable=True) as conn:
            which = incident.c.id == incident_id
            conn.execute(sa.update(incident).where(which, incident.c.closed_us.is_(None)).values(closed_us=now_us()))
            row = conn.execute(sa.select(incident).where(which)).first()
            return None if row is None else IncidentRow(*row)

"""Requests that may be sent again: the first one is served, its answer is kept for the others."""

from typing import Literal

import msgspec
import sqlalchemy as sa

from joytoken.store.engine import Database, retried
from joytoken.store.schema import idempotency, worker

State = Literal["under_way", "done"]
Holder = tuple[str, int]
NOBODY: Holder = ("", 0)

# One meaning in both databases, which SQLAlchemy spells by dialect.
_CLAIM = sa.text(
    "INSERT INTO idempotency "
    "(key_id, idempotency_key, fingerprint, request_id, state, worker, epoch, created_us, expires_us) "
    "VALUES (:key_id, :idem_key, :fingerprint, :request_id, 'under_way', :worker, :epoch, :at_us, :expires_us) "
    "ON CONFLICT (key_id, idempotency_key) DO NOTHING"
)


class Existing(msgspec.Struct, frozen=True, gc=False):
    """An earlier request under the same idempotency key. The answer's fields are filled once the state is "done"."""

    fingerprint: bytes  # of that request's body: another one under the same key is a conflict
    request_id: str
    state: State
    status: int
    content_type: str
    body: bytes
    headers_json: str
    expires_us: int
    over: bool = False  # under way in an epoch that has ended: nobody will finish it, and what it cost is recorded


class Idempotency:
    """The table of idempotency keys; each belongs to the API key that sent it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    def begin(
        self,
        key_id: str,
        idem_key: str,
        fingerprint: bytes,
        request_id: str,
        at_us: int,
        expires_us: int,
        holder: Holder = NOBODY,
    ) -> Existing | None:
        """Claim the key for this request: None to exactly one caller, who must then `finish` or `drop`.

        `holder`: the worker that serves it, and its epoch. All others get what is there. An entry that expired by
        `at_us` counts as not there.
        """
        claim = {
            "key_id": key_id,
            "idem_key": idem_key,
            "fingerprint": fingerprint,
            "request_id": request_id,
            "at_us": at_us,
            "expires_us": expires_us,
            "worker": holder[0],
            "epoch": holder[1],
        }
        with self._database.write(durable=False) as conn:
            expired = _entry(key_id, idem_key) & (idempotency.c.expires_us <= at_us)
            conn.execute(sa.delete(idempotency).where(expired))
            row = None
            while row is None:  # dropped in between, it can be claimed
                if conn.execute(_CLAIM, claim).rowcount == 1:
                    return None
                row = conn.execute(sa.select(idempotency).where(_entry(key_id, idem_key))).one_or_none()
            return Existing(
                row.fingerprint,
                row.request_id,
                row.state,
                row.status,
                row.content_type,
                row.body or b"",
                row.headers,
                row.expires_us,
                row.state == "under_way" and _over(conn, row.worker, row.epoch),
            )

    def finish(
        self,
        key_id: str,
        idem_key: str,
        request_id: str,
        status: int,
        content_type: str,
        body: bytes,
        headers_json: str,
    ) -> None:
        """Keep the answer for later requests under this key. Does nothing where the request's entry is gone."""
        answer = {"status": status, "content_type": content_type, "body": body, "headers": headers_json}
        with self._database.write(durable=False) as conn:
            mine = _entry(key_id, idem_key) & (idempotency.c.request_id == request_id)
            conn.execute(sa.update(idempotency).where(mine).values(state="done", **answer))

    def drop(self, key_id: str, idem_key: str, request_id: str) -> None:
        """Forget the key, so that it can be sent again: this request ended without an answer worth repeating."""
        with self._database.write(durable=False) as conn:
            mine = _entry(key_id, idem_key) & (idempotency.c.request_id == request_id)
            conn.execute(sa.delete(idempotency).where(mine))

    def purge(self, now_us: int) -> int:
        """Delete what has expired; returns how many entries."""
        with self._database.write(durable=False) as conn:
            return conn.execute(sa.delete(idempotency).where(idempotency.c.expires_us <= now_us)).rowcount


def _over(conn: sa.Connection, name: str, epoch: int) -> bool:
    """Whether a worker's epoch has ended in the ordinary way: every record of it is there."""
    row = conn.execute(sa.select(worker.c.epoch, worker.c.state).where(worker.c.id == name)).first()
    return row is not None and (row.epoch > epoch or row.state == "dead")


def _entry(key_id: str, idem_key: str) -> sa.ColumnElement[bool]:
    return (idempotency.c.key_id == key_id) & (idempotency.c.idempotency_key == idem_key)

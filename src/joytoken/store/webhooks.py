"""Webhooks and their outbox: an event is there with the change that it tells of, until it is delivered or given up.

Who delivers takes a delivery first, for a while: nobody else has it then, and if they die, somebody else takes it
after that while.
"""

from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from joytoken.store.engine import Database, retried
from joytoken.store.outbox import tell
from joytoken.store.schema_credit import webhook, webhook_delivery, webhook_event

State = Literal["pending", "delivered", "given_up"]


class Webhook(msgspec.Struct, frozen=True):
    """Where events are sent, and the sealed secret that they are signed with."""

    name: str
    url: str
    sealed_secret: bytes
    enabled: bool
    created_us: int


class Delivery(msgspec.Struct, frozen=True):
    """One event for one webhook."""

    event_id: str
    webhook: str
    kind: str
    subject: str
    body: str
    at_us: int
    state: State
    attempts: int
    next_us: int
    status: int
    error: str
    done_us: int


WebhookList = list[Webhook]
DeliveryList = list[Delivery]
_d, _e = webhook_delivery.c, webhook_event.c
_columns = (
    _d.event_id, _d.webhook, _e.kind, _e.subject, _e.body, _e.at_us,
    _d.state, _d.attempts, _d.next_us, _d.status, _d.error, _d.done_us,
)  # fmt: skip
_deliveries: sa.Select[Any] = sa.select(*_columns).join(webhook_event, _e.id == _d.event_id)
# Said literally, since the index covers only rows of which this is known.
_due = sa.and_(_d.state == sa.literal_column("'pending'"), _d.next_us <= sa.bindparam("at"))
_any_due = sa.select(_d.event_id).where(_due).limit(1)
_take = sa.select(_d.event_id, _d.webhook).where(_due).order_by(_d.next_us, _d.event_id, _d.webhook)
_this = sa.and_(_d.event_id == sa.bindparam("of"), _d.webhook == sa.bindparam("to"))
# Over everywhere: all of an event's deliveries are there from its beginning, and none becomes pending again.
_kept = sa.exists().where(_d.event_id == _e.id, sa.or_(_d.state == "pending", _d.done_us >= sa.bindparam("before")))
_over = sa.select(_e.id).where(_e.at_us < sa.bindparam("before"), ~_kept).order_by(_e.at_us)


class Webhooks:
    """The tables of webhooks and of what is sent to them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    def put(self, made: Webhook) -> None:
        """Add a webhook, or write it anew."""
        values = msgspec.structs.asdict(made)
        with self._database.write(durable=True) as conn:
            if conn.execute(sa.update(webhook).where(webhook.c.name == made.name).values(values)).rowcount == 0:
                conn.execute(sa.insert(webhook), values)

    def remove(self, name: str) -> bool:
        """Remove a webhook; what waits for it is given up. False where there is none."""
        with self._database.write(durable=True) as conn:
            gone = conn.execute(sa.delete(webhook).where(webhook.c.name == name)).rowcount == 1
            waiting = sa.and_(_d.webhook == name, _d.state == "pending")
            given_up = {"state": "given_up", "error": "the webhook was removed"}
            conn.execute(sa.update(webhook_delivery).where(waiting).values(given_up))
            return gone

    def disable(self, name: str) -> None:
        """Send nothing more to a webhook."""
        with self._database.write(durable=True) as conn:
            conn.execute(sa.update(webhook).where(webhook.c.name == name).values(enabled=False))

    def list(self) -> WebhookList:
        """All webhooks by name."""
        with self._database.read() as conn:
            rows = conn.execute(sa.select(webhook).order_by(webhook.c.name))
            return [
                Webhook(row.name, row.url, bytes(row.sealed_secret), bool(row.enabled), row.created_us) for row in rows
            ]

    def tell(self, event_id: str, kind: str, subject: str, data: dict[str, str], at_us: int) -> int:
        """Put an event into the outbox; returns for how many webhooks."""
        with self._database.write(durable=True) as conn:
            return tell(conn, event_id, kind, subject, data, at_us)

    def due(self, at_us: int) -> bool:
        """Whether there is anything to deliver now."""
        with self._database.read() as conn:
            return conn.execute(_any_due, {"at": at_us}).first() is not None

    @retried
    def take(self, at_us: int, until_us: int, limit: int) -> DeliveryList:
        """Take at most so many due deliveries, until then; nobody else gets them before."""
        with self._database.write(durable=False) as conn:
            rows = conn.execute(
                _take.limit(limit).with_for_update(skip_locked=True, of=webhook_delivery), {"at": at_us}
            )
            keys = [{"of": row[0], "to": row[1]} for row in rows]
            if not keys:
                return []
            taken = sa.update(webhook_delivery).where(_this).values(next_us=until_us, attempts=_d.attempts + 1)
            conn.execute(taken, keys)
            return [Delivery(*conn.execute(_deliveries.where(_this), key).one()) for key in keys]

    @retried
    def finish(self, taken: Delivery, state: State, status: int, error: str, next_us: int, at_us: int) -> None:
        """Write what came of an attempt. Where somebody else has taken it since, their word counts."""
        mine = sa.and_(_this, _d.state == "pending", _d.attempts == taken.attempts)
        values = {"state": state, "status": status, "error": error, "next_us": next_us}
        with self._database.write(durable=True) as conn:
            done_us = 0 if state == "pending" else at_us
            update = sa.update(webhook_delivery).where(mine).values(**values, done_us=done_us)
            conn.execute(update, {"of": taken.event_id, "to": taken.webhook})

    @retried
    def prune(self, before_us: int, limit: int) -> int:
        """Remove at most so many events, oldest first, that were over everywhere before then; returns how many."""
        with self._database.write(durable=False) as conn:
            query = _over.limit(limit).with_for_update(skip_locked=True, of=webhook_event)
            ids = list(conn.execute(query, {"before": before_us}).scalars())
            if ids:
                conn.execute(sa.delete(webhook_delivery).where(_d.event_id.in_(ids)))
                conn.execute(sa.delete(webhook_event).where(_e.id.in_(ids)))
            return len(ids)

    def deliveries(self, name: str | None = None, state: str | None = None, limit: int = 100) -> DeliveryList:
        """At most so many deliveries, newest event first."""
        query = _deliveries.order_by(_e.at_us.desc(), _e.id.desc(), _d.webhook).limit(limit)
        if name is not None:
            query = query.where(_d.webhook == name)
        if state is not None:
            query = query.where(_d.state == state)
        with self._database.read() as conn:
            return [Delivery(*row) for row in conn.execute(query)]

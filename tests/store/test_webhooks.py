"""The outbox forgets what is over, and nothing else; on both databases."""

import pytest
import sqlalchemy as sa

from joytoken.store.schema_credit import webhook_delivery, webhook_event
from joytoken.store.webhooks import Webhook, Webhooks


@pytest.fixture
def webhooks(database):
    """Two webhooks, and the events e-1 to e-6, one a microsecond, for both."""
    made = Webhooks(database)
    for name in ("a", "b"):
        made.put(Webhook(name, "https://example.com/", b"sealed", True, 1))
    for n in range(1, 7):
        made.tell(f"e-{n}", "k", "s", {}, n)
    return made


def ended(webhooks, state, done_us, *wanted):
    """End deliveries, named as `e-1 a`."""
    for taken in webhooks.take(100, 100, 100):
        if f"{taken.event_id} {taken.webhook}" in wanted:
            webhooks.finish(taken, state, 204, "", 100, done_us)


def there(database):
    with database.read() as conn:
        events = list(conn.execute(sa.select(webhook_event.c.id).order_by(webhook_event.c.id)).scalars())
        of = sorted(set(conn.execute(sa.select(webhook_delivery.c.event_id)).scalars()))
    assert of == events  # none without the other
    return events


def test_what_was_over_before_then_is_removed_oldest_first(database, webhooks):
    ended(webhooks, "delivered", 50, "e-1 a", "e-1 b", "e-2 a", "e-4 a", "e-4 b", "e-5 a", "e-5 b", "e-6 a", "e-6 b")
    ended(webhooks, "given_up", 50, "e-3 a", "e-3 b")
    assert webhooks.prune(50, 100) == 0
    assert webhooks.prune(51, 2) == 2
    assert there(database) == ["e-2", "e-4", "e-5", "e-6"]  # of e-2, one delivery is pending
    assert webhooks.prune(51, 2) == 2
    assert webhooks.prune(51, 2) == 1
    assert (webhooks.prune(51, 2), there(database)) == (0, ["e-2"])
    assert [(d.webhook, d.state) for d in webhooks.deliveries()] == [("a", "delivered"), ("b", "pending")]


def test_the_last_delivery_counts_and_so_does_a_removed_webhook(database, webhooks):
    ended(webhooks, "delivered", 50, "e-1 a")
    webhooks.remove("b")  # gives up what waits for it
    assert webhooks.prune(50, 100) == 0
    assert webhooks.prune(51, 100) == 1
    assert there(database) == ["e-2", "e-3", "e-4", "e-5", "e-6"]

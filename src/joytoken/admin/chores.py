"""What a running gateway does for its operator by itself: grants begin and end in time, events are told and forgotten.

Every worker does it; the store sees to it that no two do the same thing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

from joytoken.admin.delivery import Sent
from joytoken.admin.desk import Desk
from joytoken.admin.vault import VaultError
from joytoken.admin.webhooks import deliver
from joytoken.store.engine import StoreError
from joytoken.store.webhooks import Delivery, State, Webhook

_HOUR_US = 3_600_000_000
_DAY_US = 24 * _HOUR_US
_MARGIN_US = 5_000_000  # beyond a delivery's own deadline, before somebody else may take it
_log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run something in a thread. A thread cannot be cancelled: whoever ends this waits for what it has begun."""
    work = asyncio.ensure_future(asyncio.to_thread(act, *args, **kwargs))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        with suppress(Exception):
            await work
        raise


class Chores:
    """The periodic tasks of one worker."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin."""
        settings = self._desk.settings
        self._tasks = [
            asyncio.create_task(self._every(settings.money.sweep_ms / 1000, self.sweep)),
            asyncio.create_task(self._every(settings.webhooks.poll_ms / 1000, self.deliver_due)),
            asyncio.create_task(self._every(settings.webhooks.prune_ms / 1000, self.prune)),
        ]

    async def stop(self) -> None:
        """End. A delivery that is under way is made again later, by its deadline, with the same id."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        self._tasks = []

    async def sweep(self) -> None:
        """Let grants begin and end."""
        await in_thread(self._desk.store.ledger.sweep, self._desk.now_us())

    async def deliver_due(self) -> None:
        """Deliver what is due, until nothing is."""
        desk, settings = self._desk, self._desk.settings.webhooks
        store = desk.store.webhooks
        while await in_thread(store.due, desk.now_us()):
            now = desk.now_us()
            until = now + settings.timeout_ms * 1000 + _MARGIN_US
            taken = await in_thread(store.take, now, until, settings.concurrent_max)
            if not taken:
                return  # another worker has them
            known = {webhook.name: webhook for webhook in await in_thread(store.list)}
            await asyncio.gather(*[self._deliver(one, known.get(one.webhook)) for one in taken])

    async def prune(self) -> None:
        """Remove the events that were kept for long enough, a bounded number in each transaction."""
        desk, settings = self._desk, self._desk.settings.webhooks
        before, most = desk.now_us() - settings.keep_days * _DAY_US, settings.prune_events_max
        while await in_thread(desk.store.webhooks.prune, before, most) == most:
            pass

    async def _deliver(self, taken: Delivery, webhook: Webhook | None) -> None:
        desk, settings = self._desk, self._desk.settings.webhooks
        if webhook is None or not webhook.enabled:
            sent, last = Sent(ok=False, error="the webhook is not there any more, or is disabled"), True
        else:
            try:
                sent = await deliver(desk, webhook, taken.event_id, taken.body.encode())
            except VaultError as error:
                sent = Sent(ok=False, error=str(error))
            last = sent.gone
        now = desk.now_us()
        pause_ms = min(settings.retry_ms * 2 ** min(taken.attempts - 1, 40), settings.retry_ms_max)
        next_us = now + pause_ms * 1000
        over = last or next_us > taken.at_us + settings.retry_hours * _HOUR_US
        state: State = "delivered" if sent.ok else "given_up" if over else "pending"
        await in_thread(desk.store.webhooks.finish, taken, state, sent.status, sent.error, next_us, now)
        if sent.gone:
            await in_thread(desk.store.webhooks.disable, taken.webhook)
        if not sent.ok:
            _log.warning("event %s to webhook %s: %s (%s)", taken.event_id, taken.webhook, sent.error, state)

    async def _every(self, pause_s: float, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(pause_s)
            try:
                await act()
            except StoreError as error:
                _log.warning("the store is not available: %s", error)
            except Exception:  # noqa: BLE001 - whatever it was, the next round may succeed
                _log.exception("a chore failed, and is tried again")

"""What a gateway does for its tables beside its requests: it keeps sums of usage up to date, and drops old months."""

import asyncio
import contextlib
import dataclasses
import logging

from joytoken.admin.desk import Desk
from joytoken.admin.months import MonthsDrop, drop_months, first_kept
from joytoken.config.settings import Usage
from joytoken.domain.errors import GatewayError
from joytoken.store.engine import StoreError, StoreUnavailable
from joytoken.store.usage_months import month_of, span_of
from joytoken.store.usage_roll_tags import TagBounds

_RETAIN_US = 3_600_000_000
_log = logging.getLogger(__name__)


class _Stopping(Exception):
    """A month is large, and nobody waits for it to be looked through."""


class Upkeep:
    """A task of one worker. Several may run beside each other; what one has done is nothing to do for the others."""

    def __init__(self, desk: Desk, settings: Usage) -> None:
        self._desk = dataclasses.replace(desk, actor="upkeep", progress=self._go_on)
        self._settings = settings
        self._stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin. In the event loop."""
        self._stopping = False
        self._task = asyncio.create_task(self._run(), name="joytoken-upkeep")

    async def stop(self) -> None:
        """End, once what is under way is done."""
        if self._task is not None:
            self._stopping = True
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._settings.roll_ms / 1000)
            # A thread cannot be cancelled: what it has begun is awaited, also by who ends this.
            work = asyncio.ensure_future(asyncio.to_thread(self._turn))
            try:
                await asyncio.shield(work)
            except asyncio.CancelledError:
                await work
                raise

    def _turn(self) -> None:
        self.roll()
        self.make_months()
        self.retain()

    def make_months(self) -> None:
        """Make the tables of this month and the next, so that no flush has to. Never raises."""
        now = self._desk.now_us()
        try:
            self._desk.store.ledger.make_months([now, span_of(month_of(now))[1]])
        except StoreUnavailable as failure:
            _log.debug("the next month of usage waits: %s", failure)
        except Exception:  # noqa: BLE001 - a flush makes the month that it meets
            _log.exception("the next month of usage could not be made")

    def retain(self) -> None:
        """Drop the months that are older than those that are kept; one worker looks, once an hour. Never raises."""
        now, keep = self._desk.now_us(), self._settings.keep_months
        try:
            if not keep or not self._desk.store.usage.take_retention(now, _RETAIN_US):
                return
            dropped = drop_months(self._desk, MonthsDrop(before=first_kept(now, keep)))
        except _Stopping:
            _log.info("old months of usage are dropped another time: the gateway stops")
        except (GatewayError, StoreError) as failure:
            _log.warning("old months of usage could not be dropped, which is tried again in an hour: %s", failure)
        except Exception:  # noqa: BLE001 - whatever it was, it is tried again within the hour
            _log.exception("old months of usage could not be dropped")
        else:
            for month in dropped.months:
                _log.info("dropped the %d requests of %s", month.requests, month.month)

    def _go_on(self, _done: int, _total: int, _what: str) -> None:
        if self._stopping:
            raise _Stopping

    def roll(self) -> None:
        """Add what has come since to its sums. Never raises: whoever asks for sums reads what is not in them yet."""
        most = self._settings.roll_records_max
        bounds = TagBounds(self._settings.tag_names_max, self._settings.tag_values_max)
        try:
            for _ in range(self._settings.roll_parts_max):
                if self._desk.store.usage.roll(most, bounds) < most:
                    return
        except StoreUnavailable as failure:
            _log.debug("sums of usage wait: %s", failure)
        except Exception:  # noqa: BLE001 - whatever it was, the next turn tries again
            _log.exception("sums of usage could not be brought up to date")

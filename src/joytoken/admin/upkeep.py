"""What a gateway does for its tables beside its requests: it keeps the sums of usage up to date."""

import asyncio
import contextlib
import logging

from joytoken.config.settings import Usage
from joytoken.store.engine import StoreUnavailable
from joytoken.store.open import Store
from joytoken.store.usage_roll_tags import TagBounds

_log = logging.getLogger(__name__)


class Upkeep:
    """A task of one worker. Several may run beside each other; what one has done is nothing to do for the others."""

    def __init__(self, store: Store, settings: Usage) -> None:
        self._store = store
        self._settings = settings
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin. In the event loop."""
        self._task = asyncio.create_task(self._run(), name="joytoken-upkeep")

    async def stop(self) -> None:
        """End, once what is under way is done."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._settings.roll_ms / 1000)
            # A thread cannot be cancelled: what it has begun is awaited, also by who ends this.
            work = asyncio.ensure_future(asyncio.to_thread(self.roll))
            try:
                await asyncio.shield(work)
            except asyncio.CancelledError:
                await work
                raise

    def roll(self) -> None:
        """Add what has come since to its sums. Never raises: whoever asks for sums reads what is not in them yet."""
        most = self._settings.roll_records_max
        bounds = TagBounds(self._settings.tag_names_max, self._settings.tag_values_max)
        try:
            for _ in range(self._settings.roll_parts_max):
                if self._store.usage.roll(most, bounds) < most:
                    return
        except StoreUnavailable as failure:
            _log.debug("sums of usage wait: %s", failure)
        except Exception:  # noqa: BLE001 - whatever it was, the next turn tries again
            _log.exception("sums of usage could not be brought up to date")

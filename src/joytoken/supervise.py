"""Serve with many workers: prepare once, listen once, and see that they live."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from joytoken.admin.folder import occupy
from joytoken.admin.setup import Prepared, prepare
from joytoken.config.log import log_to_stderr
from joytoken.config.settings import Settings
from joytoken.gateway.limiter_shared import SharedLimits
from joytoken.workers.channel import SLOTS_BEYOND
from joytoken.workers.listeners import close, listen, url_of
from joytoken.workers.supervisor import Supervisor

_KEPT = ("host", "port", "workers", "limited_keys_max", "data_dir")  # what all processes share, from the start
_log = logging.getLogger(__name__)


def serve(settings: Settings, announce: Callable[[str, Prepared], None], again: Callable[[], Settings]) -> None:
    """Prepare the data folder, and have `server.workers` processes serve until SIGTERM or SIGINT.

    `announce` is called with the gateway's URL once all of them listen, and with what a first run made. At SIGHUP every
    process is replaced by one with the settings that `again` reads. Raises FolderServed, WorkersFailed, and OSError
    where the port is in use.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is somebody to replace
    log_to_stderr(settings.log)
    kept = occupy(settings.data_dir)
    try:
        prepared = prepare(settings)
        prepared.desk.store.close()
        server = settings.server
        listeners = listen(server.host, server.port, server.workers)
        url = url_of(listeners[0][0])
        try:
            with (
                _unnamed(msgspec.json.encode(settings)) as task,
                _unnamed(b"") as memory,
                SharedLimits(memory, server.workers + SLOTS_BEYOND, server.limited_keys_max) as limits,
            ):
                supervisor = Supervisor(
                    [sys.executable, "-P", "-m", "joytoken.serve"],
                    [task, memory, kept],
                    listeners,
                    drain_ms=server.drain_ms,
                    leave_ms=server.leave_ms,
                    pause_ms_max=server.worker_pause_ms_max,
                    left=limits.forget,
                    task_anew=lambda: _memory(msgspec.json.encode(_renewed(settings, again()))),
                )
                asyncio.run(supervisor.run(lambda: announce(url, prepared)))
        finally:
            close(listeners)
    finally:
        os.close(kept)


@contextmanager
def _unnamed(content: bytes) -> Iterator[int]:
    descriptor = _memory(content)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _memory(content: bytes) -> int:
    """A file in memory, which ends with the processes that have it."""
    descriptor = os.memfd_create("joytoken")
    with os.fdopen(descriptor, "wb", closefd=False) as file:
        file.write(content)
    return descriptor


def _renewed(old: Settings, new: Settings) -> Settings:
    """The new settings, but for those that only a start can change."""
    carried = {name: getattr(old.server, name) for name in _KEPT}
    asked = [f"server.{name}" for name in _KEPT if getattr(new.server, name) != carried[name]]
    asked += ["database.url"] if new.database != old.database else []
    if asked:
        _log.warning("%s: changed by a stop and a start alone, and kept as it is until then", ", ".join(asked))
    server = msgspec.structs.replace(new.server, **carried)
    return msgspec.structs.replace(new, server=server, database=old.database)

"""Serve with many workers: prepare once, listen once, and see that they live."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from joytoken.admin.folder import occupy
from joytoken.admin.setup import Prepared, prepare
from joytoken.config.log import log_to_stderr
from joytoken.config.settings import Settings
from joytoken.gateway.limiter_shared import SharedLimits
from joytoken.workers.listeners import close, listen, url_of
from joytoken.workers.supervisor import Supervisor


def serve(settings: Settings, announce: Callable[[str, Prepared], None]) -> None:
    """Prepare the data folder, and have `server.workers` processes serve until SIGTERM or SIGINT.

    `announce` is called with the gateway's URL once all of them listen, and with what a first run made. Raises
    FolderServed, WorkersFailed, and OSError where the port is in use.
    """
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
                SharedLimits(memory, server.workers, server.limited_keys_max) as limits,
            ):
                supervisor = Supervisor(
                    [sys.executable, "-P", "-m", "joytoken.serve"],
                    [task, memory, kept],
                    listeners,
                    drain_ms=server.drain_ms,
                    pause_ms_max=server.worker_pause_ms_max,
                    left=limits.forget,
                )
                asyncio.run(supervisor.run(lambda: announce(url, prepared)))
        finally:
            close(listeners)
    finally:
        os.close(kept)


@contextmanager
def _unnamed(content: bytes) -> Iterator[int]:
    """A file in memory, which ends with the processes that have it."""
    with os.fdopen(os.memfd_create("joytoken"), "w+b") as file:
        file.write(content)
        file.flush()
        yield file.fileno()

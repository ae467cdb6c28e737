"""Serve, in one process: as a whole gateway, or as one of a supervisor's workers (`python -m joytoken.serve FD`)."""

import asyncio
import gc
import os
import socket
import sys
from collections.abc import Callable, Coroutine
from types import FrameType

import msgspec
import uvicorn
import uvloop
from starlette.applications import Starlette

from joytoken.admin.folder import occupy
from joytoken.admin.setup import Prepared, prepare, take_desk
from joytoken.admin.vault import VaultError
from joytoken.api.edge import EdgeProtocol
from joytoken.app import Worker
from joytoken.config.log import log_to_stderr
from joytoken.config.settings import Settings
from joytoken.escrow.terms import EscrowError
from joytoken.gateway.limiter_shared import SharedLimits
from joytoken.store.engine import StoreError
from joytoken.workers.channel import Report, await_order, send_report
from joytoken.workers.listeners import BACKLOG, url_of

_GC_THRESHOLDS = (50_000, 20, 50)
_SECOND_MS = 1000
_MESSAGE_BYTES_MAX = 65_536


class _Server(uvicorn.Server):
    """uvicorn's server, which tells when it listens."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[str], None]) -> None:
        super().__init__(config)
        self._listening = listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self.servers:
            self._listening(url_of(self.servers[0].sockets[0]))

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        # A stop that was asked for is a success; uvicorn would raise the signal again at the end.
        self._captured_signals.clear()

    def end_at_once(self) -> None:
        """Stop without waiting for what is under way: it is settled by what is known of it."""
        self.should_exit = self.force_exit = True


def serve(settings: Settings, announce: Callable[[str, Prepared], None]) -> None:
    """Prepare the data folder, and serve until SIGTERM or SIGINT.

    `announce` is called with the gateway's URL once it listens, and with what a first run made. Raises FolderServed.
    """
    log_to_stderr(settings.log)
    kept = occupy(settings.data_dir)
    try:
        prepared = prepare(settings)
        try:
            _run(_alone(prepared, announce))
        finally:
            prepared.desk.store.close()
    finally:
        os.close(kept)


async def _alone(prepared: Prepared, announce: Callable[[str, Prepared], None]) -> None:
    worker = Worker(prepared.desk)
    await worker.start()
    try:
        server = _server(worker, prepared.desk.settings, lambda url: announce(url, prepared))
        await server.serve()
    finally:
        await worker.stop()


def work(descriptor: int) -> int:
    """Be one worker of a supervisor, once it says which; gives the exit code."""
    with socket.socket(fileno=descriptor) as channel:
        _settle_memory()  # while there is time: a replacement's start is short of it
        order = await_order(channel)
        if order is None:
            return 0
        settings = msgspec.json.decode(order.task, type=Settings)
        log_to_stderr(settings.log)
        channel.setblocking(False)
        try:
            desk = take_desk(settings)
            try:
                server = settings.server
                with SharedLimits(order.shared, server.workers, server.limited_keys_max, order.slot) as limits:
                    worker = Worker(desk, slot=order.slot, limits=limits)
                    _run(_one_of_many(worker, channel, order.listeners, settings))
            finally:
                desk.store.close()
        except (StoreError, EscrowError, VaultError, OSError) as error:
            send_report(channel, Report(listening=False, why=str(error) or type(error).__name__))
            return 1
    return 0


async def _one_of_many(
    worker: Worker, channel: socket.socket, listeners: list[socket.socket], settings: Settings
) -> None:
    loop = asyncio.get_running_loop()
    await worker.start()
    try:
        server = _server(worker, settings, lambda _: send_report(channel, Report(listening=True)))

        def hear() -> None:
            if channel.recv(_MESSAGE_BYTES_MAX):
                worker.escrow.look_around()
            else:  # the supervisor is dead, and nobody would end this process later
                loop.remove_reader(channel)
                server.end_at_once()

        loop.add_reader(channel, hear)
        await server.serve(listeners)
        loop.remove_reader(channel)
    finally:
        await worker.stop()


def _run(serving: Coroutine[None, None, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serving)


def _server(worker: Worker, settings: Settings, listening: Callable[[str], None]) -> _Server:
    """What serves this worker's application: all that will live as long as it is there now."""
    EdgeProtocol.door = worker.door
    server = _Server(_server_config(worker.application(), settings), listening)
    _settle_memory()
    gc.set_threshold(*_GC_THRESHOLDS)
    return server


def _settle_memory() -> None:
    """Take what is there now out of the collector's sight."""
    gc.collect()
    gc.freeze()


def _server_config(app: Starlette, settings: Settings) -> uvicorn.Config:
    server = settings.server
    return uvicorn.Config(
        app,
        host=server.host,
        port=server.port,
        http=EdgeProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=max(1, server.drain_ms // _SECOND_MS),
        timeout_keep_alive=server.keepalive_ms // _SECOND_MS,
    )


if __name__ == "__main__":
    sys.exit(work(int(sys.argv[1])))

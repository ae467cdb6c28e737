"""Serve, in one process: as a whole gateway, or as one of a supervisor's workers (`python -m joytoken.serve FD`)."""

import asyncio
import gc
import logging
import os
import signal
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
from joytoken.workers import bridge
from joytoken.workers.channel import RECOVER, SLOTS_BEYOND, Order, Report, await_order, hear, send_report
from joytoken.workers.listeners import BACKLOG, url_of

GC_THRESHOLDS = (50_000, 20, 50)  # of a serving worker's garbage collector
_SECOND_MS = 1000
_LOOK_S = 0.02  # between two looks at whether a connection rests
_log = logging.getLogger(__name__)


class _Server(uvicorn.Server):
    """uvicorn's server, which tells when it listens, and can leave its connections to a successor."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[str], None], leave_ms: int) -> None:
        super().__init__(config)
        self._listening = listening
        self._leave_s = leave_ms / _SECOND_MS
        self._bridge: socket.socket | None = None
        self._arriving: set[asyncio.Task[object]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self.servers:
            self._listening(url_of(self.servers[0].sockets[0]))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._bridge is not None:
            await self._leave(self._bridge, sockets or [])
        await super().shutdown(sockets)

    async def _leave(self, over: socket.socket, sockets: list[socket.socket]) -> None:
        """Accept nobody any more, and let every connection go over once it rests."""
        for server in self.servers:
            server.close()
        for each in sockets:
            each.close()
        state, until = self.server_state, asyncio.get_running_loop().time() + self._leave_s
        try:
            while self._bridge is not None and asyncio.get_running_loop().time() < until:
                for connection in list(state.connections):
                    assert isinstance(connection, EdgeProtocol)
                    connection.leave(over)
                await asyncio.sleep(_LOOK_S)  # who was accepted last is made known
                if not state.connections and not state.tasks:
                    break
        except bridge.BridgeDown:
            _log.warning("the successor has died: connections end as at a stop")
        finally:
            over.close()

    def leave(self, over: socket.socket) -> None:
        """End with what is under way: a successor accepts already, and takes the connections that rest."""
        self._bridge = over
        self.should_exit = True

    def take_over(self, over: socket.socket) -> None:
        """Serve the connections that come over a bridge."""
        loop = asyncio.get_running_loop()

        def arrive() -> None:
            try:
                taken = bridge.take(over)
            except BlockingIOError:
                return
            except bridge.BridgeDown:  # all have come
                loop.remove_reader(over)
                over.close()
                return
            if taken is not None:
                task = loop.create_task(loop.connect_accepted_socket(self._connection, taken))
                self._arriving.add(task)
                task.add_done_callback(self._arriving.discard)

        loop.add_reader(over, arrive)

    def _connection(self) -> EdgeProtocol:
        return EdgeProtocol(config=self.config, server_state=self.server_state, app_state={})

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._bridge = None
        super().handle_exit(sig, frame)
        # A stop that was asked for is a success; uvicorn would raise the signal again at the end.
        self._captured_signals.clear()

    def end_at_once(self) -> None:
        """Stop without waiting for what is under way: it is settled by what is known of it."""
        self._bridge = None
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
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, _end_alone, server)
        await server.serve()
    finally:
        await worker.stop()


def _end_alone(server: _Server) -> None:
    _log.warning("SIGHUP: one worker has no successor, so this is a stop; many are replaced (server.workers)")
    server.handle_exit(signal.SIGTERM, None)


def work(descriptor: int) -> int:
    """Be one worker of a supervisor, once it says which; gives the exit code."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it is the supervisor's, also where the whole group is told
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
                slots, keys_max = settings.server.workers + SLOTS_BEYOND, settings.server.limited_keys_max
                with SharedLimits(order.shared, slots, keys_max, order.slot) as limits:
                    worker = Worker(desk, slot=order.slot, limits=limits)
                    _run(_one_of_many(worker, channel, order, settings))
            finally:
                desk.store.close()
        except (StoreError, EscrowError, VaultError, OSError) as error:
            send_report(channel, Report(listening=False, why=str(error) or type(error).__name__))
            return 1
    return 0


async def _one_of_many(worker: Worker, channel: socket.socket, order: Order, settings: Settings) -> None:
    loop = asyncio.get_running_loop()
    await worker.start()
    try:
        server = _server(worker, settings, lambda _: send_report(channel, Report(listening=True)))

        def obey() -> None:
            said, over = hear(channel)
            if over is not None:
                server.leave(over)
            elif said == RECOVER:
                worker.escrow.look_around()
            elif not said:  # the supervisor is dead, and nobody would end this process later
                loop.remove_reader(channel)
                server.end_at_once()

        loop.add_reader(channel, obey)
        if order.bridge is not None:
            server.take_over(order.bridge)
        await server.serve(order.listeners)
        loop.remove_reader(channel)
    finally:
        await worker.stop()


def _run(serving: Coroutine[None, None, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serving)


def _server(worker: Worker, settings: Settings, listening: Callable[[str], None]) -> _Server:
    """What serves this worker's application: all that will live as long as it is there now."""
    EdgeProtocol.door = worker.door
    server = _Server(_server_config(worker.application(), settings), listening, settings.server.leave_ms)
    _settle_memory()
    gc.set_threshold(*GC_THRESHOLDS)
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

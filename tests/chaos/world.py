"""What is around a gateway: a machine like any other, or one whose disk or clock a scene can reach."""

import os
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from tests.postgres import PostgresServer

_HERE = Path(__file__).parent
_COMPILE = ("-shared", "-fPIC", "-std=gnu17", "-O2", "-Wall", "-Wextra", "-Werror")
_NANO = 10**9
NO_COMPILER = "a C compiler is needed for a clock that can be moved, and there is none: apt install gcc"


class NotRun(Exception):
    """A scene cannot be played on this machine; the text says why."""


class World:
    """Nothing special. Others are made in the same way, and may raise NotRun."""

    def __init__(self, folder: Path, server: PostgresServer | None) -> None:
        self.folder = folder
        self.server = server
        self.environment: Mapping[str, str] = {}
        self.prefix: Sequence[str] = ()  # of the gateway's commands

    def reached(self, url: str) -> str:
        """By which URL the gateway reaches a database of the server."""
        return url

    def close(self) -> None:
        """End what the world itself has started."""


class Wall:
    """The wall clock of processes that are started with `environment`, moved by the file that is mapped there."""

    def __init__(self, library: Path, file: Path) -> None:
        self._file = file
        self.move(timedelta())
        self.environment = {"LD_PRELOAD": str(library), "WALL_FILE": str(file)}

    def move(self, offset: timedelta) -> None:
        """Let it go so much before the machine's, from now on."""
        with self._file.open("r+b" if self._file.exists() else "wb") as file:
            file.write(struct.pack("q", round(offset.total_seconds() * _NANO)))  # at once: a reader sees old or new


def compiler() -> str | None:
    """The command of a C compiler, where there is one."""
    return os.environ.get("CC") or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def _compiled(folder: Path) -> Path:
    command = compiler()
    if not command:
        raise NotRun(NO_COMPILER)
    library = folder / "wall.so"
    subprocess.run([command, *_COMPILE, "-o", str(library), str(_HERE / "wall.c")], check=True)
    return library


class TimeMachine(World):
    """A gateway and, where there is one, a PostgreSQL server, each with a wall clock that can be moved."""

    zone = ZoneInfo("America/St_Johns")  # half an hour beside most others

    def __init__(self, folder: Path, server: PostgresServer | None) -> None:
        super().__init__(folder, None)
        self._public = Path(tempfile.mkdtemp(prefix="wall-"))  # a server that is nobody reads it too
        try:
            self._public.chmod(0o755)
            library = _compiled(self._public)
            self.walls = [Wall(library, self._public / "gateway")]
            self.environment = self.walls[0].environment
            if server is not None:
                self.walls.append(Wall(library, self._public / "server"))
            self.set(self._before_midnight())
            if server is not None:
                self.server = PostgresServer(environment=self.walls[1].environment)
        except BaseException:
            shutil.rmtree(self._public)
            raise

    def _before_midnight(self) -> timedelta:
        """How far it is to half an hour before the next midnight in the zone."""
        now = datetime.now(self.zone)
        midnight = datetime(now.year, now.month, now.day, tzinfo=self.zone) + timedelta(days=1)
        return timedelta(seconds=midnight.timestamp() - time.time()) - timedelta(minutes=30)

    def set(self, offset: timedelta) -> None:
        """Move all clocks to where the scene begins."""
        self._begin = offset
        for wall in self.walls:
            wall.move(offset)

    def jump(self, wall: Wall, by: timedelta) -> None:
        """Let one clock be so far from where the scene began."""
        wall.move(self._begin + by)

    def close(self) -> None:
        if self.server is not None:
            self.server.close()
        shutil.rmtree(self._public)


class SmallDisk(World):
    """The gateway's data folder on a file system of its own, which can be filled up: in a namespace that is its user's.

    Where a user may not make one, `disk` is None.
    """

    _SIZE = "96m"

    def __init__(self, folder: Path, server: PostgresServer | None) -> None:
        super().__init__(folder, server)
        self.disk: Path | None = None
        mounted = folder / "disk"
        mounted.mkdir()
        script = f'mount -t tmpfs -o size={self._SIZE},mode=700 none "$1" && echo ready && exec cat'
        command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", str(mounted)]
        try:
            self._holder = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
        except OSError:
            return
        seen = Path(f"/proc/{self._holder.pid}/root{mounted}")  # the same from outside of its namespace
        if self._holder.stdout.readline() != b"ready\n" or not os.access(seen, os.W_OK):
            self._holder.communicate()
            return
        enter = ("--preserve-credentials", "--user", "--mount", "--target", str(self._holder.pid))
        if server is None:  # SQLite looks where the name leads to: there, its file is in the namespace alone
            self.prefix = ("nsenter", *enter, "--")
        self.disk = seen
        (seen / "data").mkdir(mode=0o700)
        (folder / "gateway").mkdir()
        (folder / "gateway" / "data").symlink_to(seen / "data")

    def fill(self) -> None:
        """Leave no byte free."""
        size = 1 << 20
        with (self.disk / "ballast").open("ab", buffering=0) as ballast:
            while size:
                try:
                    ballast.write(bytes(size))
                except OSError:
                    size //= 2

    def empty(self) -> None:
        """Give back what `fill` took."""
        (self.disk / "ballast").unlink(missing_ok=True)

    def close(self) -> None:
        if self.disk is not None:
            self._holder.communicate()

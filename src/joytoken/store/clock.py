"""The store's clock: the one by which deadlines and recalls are judged, whatever the workers' own clocks say.

On PostgreSQL it is the server's; on SQLite that of the machine on which all of its workers run.
"""

import sqlite3
import time
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class now_us(FunctionElement[int]):  # noqa: N801 - it reads as the SQL function that it stands for
    """Unix microseconds, as the store has them at this statement."""

    type = sa.BigInteger()
    inherit_cache = True


def wall_us() -> int:
    """This machine's clock."""
    return time.time_ns() // 1000


def lend_clock(raw: sqlite3.Connection) -> None:
    """Give a SQLite connection the function that `now_us` stands for; its own clock has only milliseconds."""
    raw.create_function("joytoken_now_us", 0, lambda: wall_us())  # noqa: PLW0108 - looked up when it is called


@compiles(now_us, "sqlite")
def _on_sqlite(*_: Any, **__: Any) -> str:
    return "joytoken_now_us()"


@compiles(now_us, "postgresql")
def _on_postgresql(*_: Any, **__: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"

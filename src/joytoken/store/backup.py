"""Backups: one SQLite file of one moment, whatever the database is, proved after it was written and before it is used.

Beside each lies its checksum in the format of `sha256sum`. A restore prepares the new database whole, and then takes
its place in one step.
"""

import hashlib
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import sqlalchemy as sa

from joytoken.store.copy import NotEmpty, Progress, copy, end_epochs, first_filled, running
from joytoken.store.engine import Database, SchemaMismatch, StoreError
from joytoken.store.migrate import upgrade_database
from joytoken.store.verify import verify
from joytoken.store.version import HEAD, schema_state

_PAGES = 4_096  # of one step of SQLite's online backup
_BLOCK_BYTES = 1 << 20
_SIDES = ("-wal", "-shm", "-journal")  # what SQLite keeps beside a database


class Damaged(StoreError):
    """A backup is not what it was when it was written, or its books are wrong."""


class InUse(StoreError):
    """A gateway runs on the database that was to be replaced."""


class Backup(msgspec.Struct, frozen=True):
    """A file that was written, read again and proved."""

    file: str
    bytes: int
    sha256: str
    accounts: int
    records: int


class Restored(msgspec.Struct, frozen=True):
    """A database that has taken its place. `kept`: where the file lies that was there before."""

    accounts: int
    records: int
    ended: int  # workers that had not ended at the backup's moment: their journals are of no use any more
    kept: str | None


def checksum_file(file: Path) -> Path:
    """Where the checksum of a backup is."""
    return file.with_name(file.name + ".sha256")


def back_up(database: Database, file: Path, progress: Progress, now_us: int, *, force: bool = False) -> Backup:
    """Write a backup of this moment, while others read and write. Raises NotEmpty where the file is there already.

    The file appears under its name once it is whole and proved. Raises Damaged where the proof of its books fails.
    """
    if file.exists() and not force:
        raise NotEmpty(f"{file} is there already")
    with _draft(file, "partial") as draft:
        if database.sqlite:
            _online(database, draft, progress)
        else:
            made = Database(f"sqlite:///{draft}")
            try:
                upgrade_database(made)
                copy(database, made, progress, replace=True, now_us=now_us)
            finally:
                made.close()
        accounts, records = _proved(draft, progress)
        _alone(draft)
        digest = _sha256(draft)
        checksum_file(file).write_text(f"{digest}  {file.name}\n", encoding="ascii")
        draft.replace(file)
        _sync(file.parent)
    return Backup(str(file), file.stat().st_size, digest, accounts, records)


def restore(file: Path, url: str, progress: Progress, now_us: int, *, force: bool = False) -> Restored:
    """Put a backup in the place of the database at a URL. Raises NotEmpty, InUse or Damaged, and has changed nothing.

    Every epoch is ended in it (`copy.end_epochs`): what journals hold was settled after the backup, or in another life.
    """
    _compare_checksum(file)
    target = Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:") else None
    with _draft(target or file, "restoring") as draft:
        shutil.copyfile(file, draft)
        try:
            ended = _prepare(draft, now_us)
            accounts, records = _proved(draft, progress)
        except sa.exc.DatabaseError as failure:
            raise Damaged(f"{file} cannot be read as a database: {failure.orig}") from failure
        _alone(draft)
        kept = None
        if target is None:
            _carry(draft, url, progress, now_us, force=force)
        else:
            kept = _take_place(draft, target, now_us, force=force)
    return Restored(accounts, records, ended, str(kept) if kept else None)


@contextmanager
def _draft(beside: Path, word: str) -> Iterator[Path]:
    draft = beside.with_name(f"{beside.name}.{word}-{os.getpid()}")
    draft.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft.touch(mode=0o600)
    try:
        yield draft
    finally:
        for path in (draft, *_sides(draft)):
            path.unlink(missing_ok=True)


def _sides(file: Path) -> list[Path]:
    return [file.with_name(file.name + side) for side in _SIDES]


def _online(database: Database, draft: Path, progress: Progress) -> None:
    with database.read() as conn:
        conn.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar()  # from here on, one moment
        raw = conn.connection.dbapi_connection
        made = sqlite3.connect(draft)

        def told(_status: int, remaining: int, total: int) -> None:
            progress(total - remaining, total, "pages")

        try:
            raw.backup(made, pages=_PAGES, progress=told, sleep=0)  # type: ignore[union-attr]
        finally:
            made.close()


def _prepare(draft: Path, now_us: int) -> int:
    """Bring a backup to this schema, and end its epochs."""
    database = Database(f"sqlite:///{draft}")
    try:
        with database.read() as conn:
            state = schema_state(conn)
        if state in {"newer", "foreign", "empty"}:
            raise SchemaMismatch(f"the backup's schema is {state}; this version knows those up to {HEAD}")
        if state == "older":
            upgrade_database(database)
        with database.write(durable=True) as conn:
            return end_epochs(conn, now_us)
    finally:
        database.close()


def _proved(draft: Path, progress: Progress) -> tuple[int, int]:
    database = Database(f"sqlite:///{draft}")
    try:
        with database.read() as conn:
            said = conn.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if said != "ok":
            raise Damaged(f"the file is damaged: {said}")
        report = verify(database, progress)
    finally:
        database.close()
    if not report.ok:
        raise Damaged(f"its books are wrong: {report.first_bad}")
    return report.accounts, report.records


def _alone(draft: Path) -> None:
    """Make a database one file that needs nothing beside it, and see it onto the disk."""
    raw = sqlite3.connect(draft)
    try:
        raw.execute("PRAGMA journal_mode = DELETE").fetchone()
    finally:
        raw.close()
    _sync(draft)


def _take_place(draft: Path, target: Path, now_us: int, *, force: bool) -> Path | None:
    if not target.exists():
        draft.replace(target)
        _sync(target.parent)
        return None
    if not force:
        raise NotEmpty(f"{target} is there already")
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_us / 1_000_000))
    kept = target.with_name(f"{target.name}.replaced-{stamp}")
    _closed(target)
    for path, side in zip(_sides(target), _sides(kept), strict=True):
        if path.exists():  # of a database that SQLite cannot read; never to be taken for the new one's
            path.replace(side)
    kept.unlink(missing_ok=True)
    os.link(target, kept)
    draft.replace(target)
    _sync(target.parent)
    return kept


def _closed(target: Path) -> None:
    """Bring what is beside a database into it. Raises InUse where somebody else has it open."""
    raw = sqlite3.connect(target, timeout=1)
    try:
        raw.execute("PRAGMA journal_mode = DELETE").fetchone()  # only who has it alone can
    except sqlite3.OperationalError as failure:
        if (failure.sqlite_errorcode & 0xFF) in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            raise InUse(f"another process has {target} open") from failure
    except sqlite3.DatabaseError:
        pass  # damaged: it is kept as it is
    finally:
        raw.close()


def _carry(draft: Path, url: str, progress: Progress, now_us: int, *, force: bool) -> None:
    source, target = Database(f"sqlite:///{draft}"), Database(url)
    try:
        with target.read() as conn:
            state = schema_state(conn)
        if state in {"newer", "foreign"}:
            raise SchemaMismatch(f"the database has tables of something else, or of a newer version: {state}")
        if state != "current":
            upgrade_database(target)
        with target.read() as conn:
            alive, filled = running(conn, now_us), first_filled(conn)
        if alive:
            raise InUse(f"worker {alive[0]} was heard of within the last seconds")
        if filled and not force:
            raise NotEmpty(f"the database is not empty: its table {filled} has rows")
        copy(source, target, progress, replace=force, now_us=now_us)
    finally:
        source.close()
        target.close()


def _compare_checksum(file: Path) -> None:
    beside = checksum_file(file)
    if beside.exists():
        said = beside.read_text(encoding="ascii", errors="replace").split(" ", 1)[0]
        if said != _sha256(file):
            raise Damaged(f"{file} is not what it was when it was written: its checksum differs from {beside.name}")


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as data:
        while block := data.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""What could be wrong with workers: those of this data folder, others on its database, and those that were lost."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from joytoken.admin.desk import Desk
from joytoken.admin.folder import instance
from joytoken.admin.times import spell_time
from joytoken.escrow.recovery import Slot
from joytoken.store.ledger_late import ABANDONED
from joytoken.store.ledger_types import WorkerRow
from joytoken.workers.channel import SLOTS_BEYOND

INCIDENTS_MAX = 20  # that are shown
_SECOND_US = 1_000_000
_MIB = 1024**2


class Finding(msgspec.Struct, kw_only=True):
    """One look. `next` is what to do where it is not ok."""

    name: str
    state: Literal["ok", "warning", "failed"]
    detail: str
    next: str = ""


def look_at_workers(desk: Desk) -> Iterator[Finding]:
    """Everything about workers that the folder and its database can tell."""
    yield _processes(desk.settings.server.workers)
    folder = desk.settings.data_dir / "journal"
    rows = {row.worker: row for row in desk.store.ledger.workers(ended=True)}
    here = {worker: _taken(path) for path in sorted(folder.glob("*.lock")) if (worker := path.read_text())}
    lease_us = desk.settings.money.lease_deadline_ms * 1000
    own = [(row, here[row.worker]) for row in rows.values() if row.worker in here]
    said = [_ended(row, taken=taken) or _silent(row) for row, taken in own]
    yield Finding(name="slots", state="ok", detail=_slots(own, lease_us))
    said += [_silent(row) for row in rows.values() if row.worker not in here]
    yield from filter(None, said)
    yield from _journals(desk, folder, rows)
    incidents = list(_incidents(desk))
    yield from incidents
    if not incidents and not any(said):
        yield Finding(name="workers", state="ok", detail="none is silent, and no incident is open")


def _processes(workers: int) -> Finding:
    processors = len(os.sched_getaffinity(0))
    said = f"{workers} configured, beside {processors} processor{'s' if processors > 1 else ''}"
    if workers <= processors:
        return Finding(name="processes", state="ok", detail=said)
    return Finding(
        name="processes", state="warning", detail=f"{said}: they take turns", next="lower server.workers to that number"
    )


def _taken(path: Path) -> bool:
    """Whether a process has a slot, by its lock."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _slots(own: list[tuple[WorkerRow, bool]], lease_us: int) -> str:
    """The slots of this folder in one line; `lease_us`: how far ahead a worker that is heard puts its deadline."""
    parts = []
    for row, taken in own:
        slot, state = row.worker.rpartition(":")[2], row.state
        if state == "live" and taken:
            heard_s = max(0, row.overdue_us + lease_us) // _SECOND_US
            parts.append(f"{slot} live (heard of {heard_s} s ago)")
        elif state == "dead":
            parts.append(f"{slot} {'taken, not registered yet' if taken else 'ended'}")
        else:
            parts.append(f"{slot} {state if taken or state == 'abandoned' else 'dead, not settled'}")
    return ", ".join(parts) or "none was taken yet"


def _ended(row: WorkerRow, *, taken: bool) -> Finding | None:
    """A worker of this folder whose process is gone, with something left to be settled."""
    if taken or row.state == "dead":
        return None
    said = "its process has died, and its journal is not settled"
    if row.state == "abandoned":
        said = "it was given up for lost, and its journal is not settled"
    command = "joytoken serve; where it runs, another worker does it within money.watch_ms"
    return Finding(name=f"worker {row.worker}", state="warning", detail=said, next=command)


def _silent(row: WorkerRow) -> Finding | None:
    """A worker that the database has not heard of for too long."""
    if row.state not in {"live", "recovering"} or row.overdue_us <= 0:
        return None
    said = f"not heard of for {row.overdue_us // _SECOND_US} s more than its leases allow"
    command = f"start joytoken serve on {row.host} again"
    return Finding(name=f"worker {row.worker}", state="warning", detail=said, next=command)


def _journals(desk: Desk, folder: Path, rows: dict[str, WorkerRow]) -> Iterator[Finding]:
    """Files of slots that nobody takes any more."""
    name, workers = instance(desk.settings.data_dir), desk.settings.server.workers
    slots = workers + (SLOTS_BEYOND if workers > 1 else 0)
    ours = {Slot(folder, f"{name}:{slot}").name for slot in range(slots)}
    known = {Slot(folder, row.worker).name: row.state for row in rows.values()}
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*.journal")):
        files.setdefault(path.name.rsplit(".", 2)[0], []).append(path)
    settled = [path for slot in files if slot not in ours and known.get(slot) == "dead" for path in files[slot]]
    if settled:
        mib = sum(path.stat().st_size for path in settled) // _MIB
        said = f"{len(settled)} files, {mib} MiB, are of slots that no worker takes any more, and settled"
        yield Finding(name="journals", state="warning", detail=said, next=f"remove them: {settled[0]}, …")
    foreign = [slot for slot in files if slot not in known]
    if foreign:
        said = f"the database knows no worker of {len(foreign)}, such as {files[foreign[0]][0].name}"
        command = "see that database.url is right; after a restore it is as it should be: docs/operate.md"
        yield Finding(name="journals", state="warning", detail=said, next=command)


def _incidents(desk: Desk) -> Iterator[Finding]:
    for incident in desk.store.incidents.list(INCIDENTS_MAX, open_only=True):
        said = f"{incident.kind}: {incident.subject}, {spell_time(incident.at_us)}"
        when = "where its disk is gone" if incident.kind == ABANDONED else "once seen to"
        command = f"joytoken incidents list; {when}: joytoken incidents close {incident.id}"
        yield Finding(name=f"incident {incident.id}", state="warning", detail=said, next=command)

"""Processes that die, or lose the end of what they wrote."""

import os
import struct
import time
from pathlib import Path

from joytoken.escrow.journal import HOLD, SETTLE, Replay
from tests.chaos.stage import Scene, Stage

_HEADER_BYTES = 256  # of a journal segment
_FIRST_RECORD = struct.Struct("<20xQ")  # in the header: the number of the segment's first record


def _killed(stage: Stage) -> None:
    house = stage.house
    crowd = house.crowd(house.people(), each=2)
    for _ in stage.rounds(2, 50):
        house.served(stage.dice.randrange(1, 4))
        time.sleep(stage.dice.random() * 0.4)
        house.kill()
        house.revive()
        house.drip()
    house.served()
    house.heard(crowd)


def _everything_killed(stage: Stage) -> None:
    house = stage.house
    crowd = house.crowd(house.people())
    for _ in stage.rounds(2, 8):
        house.served(stage.dice.randrange(1, 4))
        time.sleep(stage.dice.random() * 0.4)
        house.kill_everything()
        house.revive()
        house.drip()
    house.served()
    house.heard(crowd)


def _journal_cut(stage: Stage) -> None:
    house = stage.house
    people = house.people()
    cut = 0
    for _ in stage.rounds(2, 8):
        crowd = house.crowd(people)
        house.served(12)
        time.sleep(stage.dice.random() * 0.4)
        house.kill()
        house.heard(crowd)
        cut += _cut_journal(stage)
        house.gateway.start()
        house.drip()
    stage.note(
        f"{cut} bytes of journal were destroyed, and with them a part of {len(stage.touched)} requests and all of "
        f"{len(stage.gone)}; those whose hold was in it are not provable any more: they are counted as unknown, and "
        "have no record unless the database had it already"
    )


def _cut_journal(stage: Stage) -> int:
    """Cut the last life's journal at a random byte of its last part; gives how many bytes that were written are gone.

    Requests of which a record goes are noted; those whose hold goes, apart.
    """
    house = stage.house
    folder = house.gateway.data_dir / "journal"
    before = _journalled(stage, folder)
    last = max(folder.glob("*.journal"), key=lambda path: _FIRST_RECORD.unpack_from(path.read_bytes()))
    written = len(last.read_bytes().rstrip(b"\0"))
    at = stage.dice.randint(max(_HEADER_BYTES, written - 16_384), written)
    os.truncate(last, at)
    after = _journalled(stage, folder)
    for request_id, kinds in before.items():
        left = after.get(request_id, ())
        if left != kinds:
            stage.touched.add(request_id)
        if not left:
            stage.gone.add(request_id)
    return written - at


def _journalled(stage: Stage, folder: Path) -> dict[str, tuple[int, ...]]:
    """The kinds of records, in order, that the journal has of each request."""
    found: dict[str, list[int]] = {}
    for worker, epoch in stage.house.books.rows("SELECT id, epoch FROM worker"):
        slot = next(path.name.partition(".0.journal")[0] for path in folder.glob("*.0.journal"))
        for _, kind, body in Replay(folder, slot, worker, epoch):
            if kind == HOLD:
                request_id = body[5].request_id
            elif kind == SETTLE:
                request_id = body[1].request_id
            elif isinstance(body, dict):  # leases that went back
                continue
            else:
                request_id = body if isinstance(body, str) else body[0]
            found.setdefault(request_id, []).append(kind)
    return {request_id: tuple(kinds) for request_id, kinds in found.items()}


SCENES = [
    Scene("killed", "kill -9 of the gateway at random moments, at times of its recovery", 110, _killed),
    Scene("all-killed", "kill -9 of the gateway and its provider at once", 60, _everything_killed),
    Scene("journal-cut", "kill -9, and the journal cut off at a random byte", 60, _journal_cut),
]

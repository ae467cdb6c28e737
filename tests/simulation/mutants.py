"""The money algorithm with one thing wrong each: a named function in which one text is replaced by another.

Each stands for a mistake that a change could make. Where the text is not there any more, the mutant must be written
anew: a proof by mutants of something else would be none.
"""

import importlib
import inspect
import sys
import textwrap
from typing import Any, NamedTuple

import pytest


class Mutant(NamedTuple):
    """Where something is wrong, and how."""

    name: str
    module: str
    function: str  # or Class.method
    right: str
    wrong: str


_WORKERS, _ORDERS = "joytoken.store.ledger_workers", "joytoken.store.ledger_orders"
_LATE = "joytoken.store.ledger_late"
_FLUSHER, _JOURNAL = "joytoken.escrow.flusher", "joytoken.escrow.journal"
_HOLDS, _RECOVERY = "joytoken.escrow.holds", "joytoken.escrow.recovery"

MUTANTS = (
    Mutant("watermark", _WORKERS, "WorkerLedger._flush", "if batch.upto > applied:", "applied = 0\n        if True:"),
    Mutant(
        "fence on flush", _WORKERS, "WorkerLedger._flush",
        'applied = _fence(conn, worker_id, epoch, "recovering" if recovering else "live")',
        'applied = conn.execute(WORKER_ROW, {"of": worker_id}).first()[2]',
    ),
    Mutant("fence on grant", _WORKERS, "WorkerLedger._grant", '_fence(conn, worker_id, epoch, "live")', "pass"),
    Mutant("availability check", _WORKERS, "_share", "if available <= 0:", "available = 4 * target\n    if 0:"),
    Mutant("settle cap", _HOLDS, "Holds.settle", "amount + min(cost - amount, free)", "cost"),
    Mutant("idempotence of settle", _HOLDS, "Holds.settle", "if outcome is not None:", "if False:"),
    Mutant("idempotence of top-up", _ORDERS, "earlier_act", "if tx is None:", "if True:"),
    Mutant("replay skipped", _RECOVERY, "_Filing._bring_all", "self.bring(make(part))", "pass"),
    Mutant(
        "open holds skipped", _RECOVERY, "_file",
        "filing.bring(settles_of(rows[start : start + BATCH_RECORDS]))", "pass",
    ),
    Mutant("late charge not capped", _LATE, "_capped", "charged = min(charged, max(room, 0))", "pass"),
    Mutant("late records forgotten", _LATE, "LateLedger._flush_late", "if settles:", "if False:"),
    Mutant("leases kept on abandonment", _LATE, "LateLedger.abandon", "return_leases(conn, worker_id, epoch)", "{}"),
    Mutant("carry on rotation", _JOURNAL, "Journal._rotate", "self._carry()", "()"),
    Mutant("early segment reuse", _JOURNAL, "Journal._rotate", "following.settled_seq > self.applied_seq", "False"),
    Mutant("returns kept", _FLUSHER, "Flusher._freeze", "Batch(upto, settles, returns,", "Batch(upto, settles, {},"),
    Mutant("batch not frozen", _FLUSHER, "Flusher._flush", "self._frozen = batch", "pass"),
    Mutant("lost grant forgotten", _FLUSHER, "Flusher._answer_asks", "self._compare = True", "pass"),
    Mutant("reserve", _JOURNAL, "Journal.hold", "reserve = length + SETTLE_GROWTH_BYTES", "reserve = 0"),
)  # fmt: skip


def apply(mutant: Mutant, patch: pytest.MonkeyPatch) -> None:
    """Put a mutant in the place of what is right, until the patch is undone."""
    module = importlib.import_module(mutant.module)
    owner_name, _, name = mutant.function.rpartition(".")
    owner: Any = getattr(module, owner_name) if owner_name else module
    source = textwrap.dedent(inspect.getsource(inspect.unwrap(getattr(owner, name))))
    if source.count(mutant.right) != 1:
        pytest.fail(f"the mutant {mutant.name!r} does not find {mutant.right!r} once in {mutant.function}")
    made: dict[str, Any] = {}
    exec(source.replace(mutant.right, mutant.wrong), vars(module), made)
    right = getattr(owner, name)
    patch.setattr(owner, name, made[name])
    for other in [found for key, found in sys.modules.items() if key.startswith("joytoken.") and not owner_name]:
        if vars(other).get(name) is right:  # imported by its name
            patch.setattr(other, name, made[name])

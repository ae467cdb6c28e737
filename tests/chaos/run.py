"""`make chaos`: play every scene on both databases, and prove after each that no money is wrong."""

import argparse
import contextlib
import json
import secrets
import sys
import sysconfig
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import joytoken
from tests.chaos.report import into, markdown, plain
from tests.chaos.scenes import SCENES
from tests.chaos.stage import DATABASES, Outcome, Scene, Theatre

KILLS_MIN = 100  # of a full run
_GRACE_S = 20.0  # a scene that has begun is ended in order


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 0 where every scene held."""
    given = _arguments(arguments)
    if given.list:
        print("\n".join(f"{scene.name:<20}{scene.what}" for scene in SCENES))
        return 0
    seed = given.seed or secrets.token_hex(4)
    chosen = [scene for scene in SCENES if not given.only or scene.name in given.only]
    theatre = Theatre(Path(sysconfig.get_path("scripts")) / "joytoken", seed, full=not given.short)
    print(f"chaos: seed {seed}, {len(chosen)} scenes, at most {given.minutes:g} minutes", flush=True)
    with contextlib.closing(theatre):
        outcomes = _play(theatre, chosen, given.database or DATABASES, time.monotonic() + given.minutes * 60)
    print("\n" + plain(outcomes))
    if given.json:
        given.json.write_text(json.dumps({"seed": seed, "outcomes": [one.document() for one in outcomes]}, indent=2))
    if given.report:
        made = markdown(outcomes, f"make chaos ARGS='--seed {seed} --minutes {given.minutes:g}'", joytoken.__version__)
        given.report.write_text(into(given.report.read_text(), made))
    return _verdict(outcomes, seed, full=not (given.only or given.database or given.short))


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description="Break everything, and prove the books after it.")
    parser.add_argument("--minutes", type=float, default=15, help="no scene begins after this time [15]")
    parser.add_argument("--seed", default="", help="the dice: of an earlier run, to play it again")
    parser.add_argument("--only", action="append", choices=[scene.name for scene in SCENES], metavar="SCENE")
    parser.add_argument("--database", action="append", choices=DATABASES)
    parser.add_argument("--short", action="store_true", help="as small as the tests play it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was found")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the table between the marks of a document")
    parser.add_argument("--list", action="store_true", help="name the scenes")
    given = parser.parse_args(arguments)
    if given.report and (given.only or given.database or given.short):
        parser.error("--report is of a whole run: without --only, --database and --short")
    return given


def _play(theatre: Theatre, scenes: Sequence[Scene], databases: Sequence[str], end: float) -> list[Outcome]:
    """Play all of them, the databases side by side."""

    def lane(database: str) -> list[Outcome]:
        return [_one(theatre, scene, database, end) for scene in scenes]

    with ThreadPoolExecutor(len(databases)) as lanes:
        made = list(lanes.map(lane, databases))
    return [outcome for pair in zip(*made, strict=True) for outcome in pair]


def _one(theatre: Theatre, scene: Scene, database: str, end: float) -> Outcome:
    title = f"{scene.name}, {database}"
    if time.monotonic() > end - _GRACE_S:
        return Outcome(scene.name, database, theatre.seed, not_run="the time of the whole run was up")
    one = theatre.play(scene, database, lambda text: print(f"  {title}: {text}", flush=True))
    found = one.finding
    said = f"{'held' if one.ok else 'FAILED'} in {one.seconds:.0f} s, {one.kills} kills, {one.requests} requests, "
    said = f"not run: {one.not_run}" if one.not_run else f"{said}{found.calls} calls, endings {dict(found.endings)}"
    print("\n  ".join([f"{title}: {said}", *found.problems]), flush=True)
    return one


def _verdict(outcomes: Sequence[Outcome], seed: str, *, full: bool) -> int:
    bad = [one for one in outcomes if not one.ok]
    kills = sum(one.kills for one in outcomes)
    if bad:
        names = " ".join(sorted({f"--only {one.scene}" for one in bad}))
        print(f"chaos: FAILED: {len(bad)} scenes; again: make chaos ARGS='--seed {seed} {names}'", file=sys.stderr)
        return 1
    if full and kills < KILLS_MIN:
        print(f"chaos: {kills} kills are less than the {KILLS_MIN} of a full run: --minutes", file=sys.stderr)
        return 2
    print(f"chaos: every scene held; {kills} kills, seed {seed}")
    return 0

"""What each scene is: a name, a bound, and what it does to a house; and how one is played and judged."""

import contextlib
import random
import shutil
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from joytoken.domain.ledger import wallet_account
from tests.chaos.house import TIER, House
from tests.chaos.proof import Case, Finding, Record, judge
from tests.chaos.world import NotRun, World
from tests.postgres import PostgresServer

SQLITE, POSTGRES = "SQLite", "PostgreSQL"
DATABASES = (SQLITE, POSTGRES)
_RECORDS = """
    SELECT request_id, owner_id, key_id, charged, shortfall, cost, ending, started_us,
        EXISTS (SELECT 1 FROM incident WHERE kind = 'abandoned' AND subject = worker || '/' || epoch)
    FROM usage_record
"""
_DAYS = "SELECT id, balance FROM account WHERE kind = 'quota'"


@dataclass
class Stage:
    """What a scene has: its house, its dice, how long it may go on, and where it notes what it saw."""

    house: House
    dice: random.Random
    full: bool
    until: float  # monotonic seconds: past it, no new round begins
    say: Callable[[str], None]
    notes: list[str] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)  # requests of which a part was cut out of the journal
    gone: set[str] = field(default_factory=set)  # … and whose hold was in that part

    def size(self, short: int, full: int) -> int:
        """How much of something: little where tests run it, all of it in a full run."""
        return full if self.full else short

    def rounds(self, short: int, full: int) -> range | Any:
        """The rounds of a scene; when its time is up, there are no more than in its short form."""
        for number in range(1, self.size(short, full) + 1):
            if number > short and time.monotonic() > self.until:
                self.notes.append(f"its time was up after {number - 1} of {self.size(short, full)} rounds")
                return
            self.say(f"{number}/{self.size(short, full)}")
            yield number

    def note(self, text: str) -> None:
        self.notes.append(text)


@dataclass(frozen=True)
class Scene:
    """One kind of accident. `bound_s` is what it may take in a full run, in seconds, before it is told to end."""

    name: str
    what: str
    bound_s: float
    play: Callable[[Stage], None]
    settings: dict[str, Any] = field(default_factory=dict)
    short: dict[str, Any] = field(default_factory=dict)  # settings on top, where it is played as small as in tests
    world: Callable[[Path, Any], World] = World
    not_on: dict[str, str] = field(default_factory=dict)  # databases on which it is not run, and why


@dataclass
class Outcome:
    """A row of the table."""

    scene: str
    database: str
    seed: str
    seconds: float = 0.0
    requests: int = 0
    kills: int = 0
    finding: Finding = field(default_factory=Finding)
    notes: list[str] = field(default_factory=list)
    not_run: str = ""

    @property
    def ok(self) -> bool:
        return bool(self.not_run) or self.finding.ok

    def document(self) -> dict[str, Any]:
        endings = dict(self.finding.endings)
        found = asdict(replace(self.finding, endings=Counter())) | {"endings": endings}
        return asdict(replace(self, finding=Finding())) | {"finding": found, "ok": self.ok}


@dataclass
class Theatre:
    """Where scenes are played: the command under test, and a PostgreSQL server that is started when it is needed."""

    command: Path
    seed: str
    full: bool = True
    _server: PostgresServer | None = None

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    def play(self, scene: Scene, database: str, say: Callable[[str], None] = lambda _: None) -> Outcome:
        """Play a scene on a database and judge what is left of it. Never raises for what it finds."""
        made = Outcome(scene.name, database, self.seed)
        if database in scene.not_on:
            made.not_run = scene.not_on[database]
            return made
        began = time.monotonic()
        if database == POSTGRES and self._server is None:
            self._server = PostgresServer()
        folder = Path(tempfile.mkdtemp(prefix="chaos-"))
        try:
            with contextlib.closing(scene.world(folder, self._server if database == POSTGRES else None)) as world:
                self._perform(scene, world, made, say)
        except NotRun as reason:
            made.not_run = str(reason)
        except Exception as failure:  # noqa: BLE001 - the others are played all the same
            made.finding.problems.append(_told(failure))
        shutil.rmtree(folder, ignore_errors=True)
        made.seconds = time.monotonic() - began
        return made

    def _perform(self, scene: Scene, world: World, made: Outcome, say: Callable[[str], None]) -> None:
        dice = random.Random(f"{self.seed}/{scene.name}/{made.database}")
        settings = scene.settings | ({} if self.full else scene.short)
        with contextlib.closing(House(self.command, world, dice, settings)) as house:
            stage = Stage(house, dice, self.full, time.monotonic() + scene.bound_s, say)
            try:
                scene.play(stage)
                house.rest()
                made.finding = _judged(stage)
            except Exception as failure:  # noqa: BLE001 - what was seen until then is told too
                made.finding.problems.append(_told(failure))
            made.notes, made.kills, made.requests = stage.notes, house.kills, house.requests
            if "Traceback" in house.gateway.log:
                made.finding.problems.append("the gateway's log has a traceback: " + _last_traceback(house.gateway.log))


def _told(failure: Exception) -> str:
    place = traceback.extract_tb(failure.__traceback__)[-1]
    return f"{type(failure).__name__} at {Path(place.filename).name}:{place.lineno}: {failure}"[:2_000]


def _judged(stage: Stage) -> Finding:
    house = stage.house
    wallets = {wallet_account(owner, TIER): owner for owner in house.funds}
    found = house.books.rows("SELECT id, balance FROM account WHERE kind = 'wallet'")
    case = Case(
        calls=house.provider.bill().calls,
        records=[Record(*row) for row in house.books.rows(_RECORDS)],
        told=house.told,
        balances={wallets[name]: balance for name, balance in found if name in wallets},
        funds=house.funds,
        limits=house.limits,
        windows=_windows(house),
        zone=ZoneInfo(str(house.settings.get("money.zone", "UTC"))),
        conflicts=house.books.rows("SELECT COUNT(*) FROM settle_conflict")[0][0],
        touched=stage.touched,
        gone=stage.gone,
    )
    made = judge(case)
    bad = house.verify()
    made.verified = not bad
    if bad:
        made.problems.append(f"joytoken wallet verify: {bad}"[:1_000])
    return made


def _windows(house: House) -> dict[tuple[str, str], int]:
    """What is gone of each key's days."""
    made = {}
    for name, balance in house.books.rows(_DAYS):
        _, key_id, kind, day = name.split(":")
        if kind == "D" and key_id in house.limits:
            made[key_id, day] = house.limits[key_id] - balance
    return made


def _last_traceback(log: str) -> str:
    return log.rpartition("Traceback")[2].strip()[-600:]

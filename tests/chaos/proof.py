"""The judge: the provider's bill, what callers were told, and the books must say the same.

It does not ask the gateway: it reads the database, and adds up for itself. The gateway's own proof, `joytoken wallet
verify`, is heard as well.
"""

from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo

from tests.chaos.crowd import Told

SHOWN_MAX = 3  # examples of each kind of error


@dataclass(frozen=True, slots=True)
class Record:
    """A usage record, as far as it is money. Amounts in nanocredits."""

    request_id: str
    owner: str
    key_id: str
    charged: int
    shortfall: int
    cost: int
    ending: str
    started_us: int
    late: bool = False  # brought by the journal of a worker that had been given up

    def day(self, zone: tzinfo) -> str:
        return datetime.fromtimestamp(self.started_us / 1_000_000, zone).date().isoformat()


@dataclass
class Finding:
    """What a scene came to. Everything but `calls` and `unknown` should be 0, and `verified` true."""

    calls: int = 0
    lost: int = 0  # calls, or whole answers, that the books do not know
    twice: int = 0  # requests with more than one record, or a second and different settlement
    overspent: int = 0  # wallets or limits that gave more than they had
    inexact: int = 0  # balances that are not funds minus charges, answers that told another charge
    unknown: int = 0  # calls whose hold was destroyed with a part of the journal
    assumed: int = 0  # charged by the gateway's journal, though a death came before the provider was reached
    left: int = 0  # … though their caller hung up before that
    capped: int = 0  # answers that were charged less than they said: their worker had been given up, its money with it
    verified: bool = False
    endings: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return self.verified and not (self.lost or self.twice or self.overspent or self.inexact or self.problems)


@dataclass(frozen=True)
class Case:
    """All that is compared. `touched` and `gone`: requests of which a part, or all, was cut out of the journal.

    `windows`: what each account of a key's day says was spent of it.
    """

    calls: Mapping[str, int]
    records: list[Record]
    told: list[Told]
    balances: Mapping[str, int]
    funds: Mapping[str, int]
    limits: Mapping[str, int]
    windows: Mapping[tuple[str, str], int]
    zone: tzinfo = UTC
    conflicts: int = 0
    touched: AbstractSet[str] = frozenset()
    gone: AbstractSet[str] = frozenset()


def judge(case: Case) -> Finding:
    """Compare the bill with the books, the answers with the records, and the balances with both."""
    made = Finding(calls=sum(case.calls.values()))
    by_id = {record.request_id: record for record in case.records}
    made.endings = Counter(record.ending for record in case.records)
    _calls(case, by_id, made)
    _answers(case, by_id, made)
    _money(case, made)
    return made


def _calls(case: Case, by_id: Mapping[str, Record], made: Finding) -> None:
    unrecorded = [call for call in case.calls if call not in by_id]
    lost = [call for call in unrecorded if call not in case.gone]
    made.unknown = len(unrecorded) - len(lost)
    made.lost = len(lost)
    made.problems += [f"the provider was called for {call}, and no record knows of it" for call in lost[:SHOWN_MAX]]
    repeated = [one for one, count in Counter(record.request_id for record in case.records).items() if count > 1]
    made.twice = len(repeated) + case.conflicts
    made.problems += [f"{call} has more than one record" for call in repeated[:SHOWN_MAX]]
    if case.conflicts:
        made.problems.append(f"{case.conflicts} requests were settled a second time, differently")
    # A hold says that the call is about to be made: who dies between the two leaves a call that must be assumed.
    paid = [one for one in case.records if one.charged and one.request_id not in case.calls]
    made.assumed = sum(one.ending == "recovered" for one in paid)
    made.left = sum(one.ending == "client_gone" for one in paid)
    paid = [one for one in paid if one.ending not in ("recovered", "client_gone")]
    made.inexact += len(paid)
    made.problems += [f"{one.request_id} was charged, and the provider not called" for one in paid[:SHOWN_MAX]]


def _answers(case: Case, by_id: Mapping[str, Record], made: Finding) -> None:
    wrong = []
    for one in case.told:
        if not one.served or one.request_id in case.touched:
            continue
        record = by_id.get(one.request_id)
        if record is None:
            made.lost += 1
            wrong.append(f"{one.request_id} was answered, and no record knows of it")
        elif record.late and record.charged + record.shortfall == one.charged:
            made.capped += record.shortfall > 0
        elif one.charged != record.charged:
            made.inexact += 1
            wrong.append(f"{one.request_id} was told a charge of {one.charged}, its record says {record.charged}")
    made.problems += wrong[:SHOWN_MAX]


def _money(case: Case, made: Finding) -> None:
    wrong = []
    spent: Counter[str] = Counter()
    by_limit: Counter[tuple[str, str]] = Counter()
    for record in case.records:
        spent[record.owner] += record.charged
        if record.key_id in case.limits:
            by_limit[record.key_id, record.day(case.zone)] += record.charged
        if record.charged < 0 or record.charged + record.shortfall != record.cost:
            made.inexact += 1
            wrong.append(f"{record.request_id}: {record.charged} + {record.shortfall} is not {record.cost}")
    for owner, funds in case.funds.items():
        left = case.balances.get(owner, 0)
        if left < 0 or spent[owner] > funds:
            made.overspent += 1
            wrong.append(f"the wallet of {owner} had {funds} and gave {spent[owner]}")
        if left != funds - spent[owner]:
            made.inexact += 1
            wrong.append(f"the wallet of {owner} has {left}; {funds} - {spent[owner]} is {funds - spent[owner]}")
    for (key_id, day), charged in by_limit.items():
        if charged > case.limits[key_id]:
            made.overspent += 1
            wrong.append(f"the key {key_id} may spend {case.limits[key_id]} a day, and spent {charged} on {day}")
    for window in sorted(set(case.windows) | set(by_limit)):
        said, charged = case.windows.get(window, 0), by_limit[window]
        if said != charged:
            made.inexact += 1
            wrong.append(
                f"the key {window[0]} spent {charged} of what was admitted on {window[1]}; its limit lost {said}"
            )
    made.problems += wrong[: 2 * SHOWN_MAX]

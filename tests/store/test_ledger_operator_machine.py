"""A machine of everything that operators and workers do to wallets with grants, beside a model that is only a list.

The model burns at once what the ledger may burn later, and knows nothing of batches, transactions or flags.
"""

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from joytoken.domain.errors import Conflict
from joytoken.domain.ledger import GrantTerms
from joytoken.store import engine
from joytoken.store.engine import Database
from joytoken.store.ledger import Ledger
from tests.store.wallets import DAY_US, Worker

HOUR_US = DAY_US // 24
WALLETS = ("wallet:ann:standard", "wallet:bob:standard", "wallet:ann:premium")
wallets = st.sampled_from(WALLETS)
few = st.integers(1, 60)


class Credits:
    """One grant of the model."""

    def __init__(self, number, terms, amount, effective, now):
        self.number, self.terms, self.left, self.effective = number, terms, amount, effective
        self.entered = effective <= now
        self.voided = False

    @property
    def order(self):
        return self.terms.priority, self.terms.expires_us or 2**63, self.number


class Model:
    """One wallet of the model."""

    def __init__(self):
        self.credits = []
        self.leased = 0

    @property
    def live(self):
        return sorted((c for c in self.credits if c.entered and c.left), key=lambda c: c.order)

    @property
    def balance(self):
        return sum(c.left for c in self.live)

    def burn(self, amount):
        taken = []
        for credit in self.live:
            part = min(credit.left, amount)
            credit.left -= part
            amount -= part
            if part:
                taken.append((credit.terms, part))
        assert not amount
        return taken

    def settle(self, now):
        """Begin and end what is due; gives what expired and what was voided, by category."""
        gone = []
        for credit in self.credits:
            credit.entered = credit.entered or (credit.effective <= now and not credit.voided)
        for credit in self.live:
            expires = credit.terms.expires_us
            if credit.voided or (expires is not None and expires <= now):
                part = min(credit.left, self.balance - self.leased)
                credit.left -= part
                gone.append(part)
        return gone


class Wallets(RuleBasedStateMachine):
    fresh: Callable[[Path], str]  # the URL of a new database, given a folder

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="joytoken-grants-"))
        self.database = Database(self.fresh(self.folder))
        self.time = [0.0]
        self.ledger = Ledger(self.database, clock=lambda: self.time[0], pause=self._pause)
        self.now = DAY_US
        self.models = {name: Model() for name in WALLETS}
        self.worker = Worker(self.ledger)
        self.requests = []  # wallet, id, charged, parts in the order of burning, when, given back
        self.number = 0
        self.last = None
        for name in WALLETS:
            self.top_up(name, 40, False, None, 0, 100)

    def _pause(self, seconds):
        self.time[0] += seconds * 100

    def _key(self):
        self.number += 1
        return f"k{self.number}"

    def _do(self, act, *args, **more):
        """Do something under a new key, and remember it to be repeated."""
        key = self._key()

        def again(at_us):
            return act(*args, "r", key, "root", at_us, **more)

        entered = again(self.now)
        self.last = (again, entered)
        return entered

    def _try(self, act, *args):
        try:
            return self._do(act, *args), ""
        except Conflict as conflict:
            return None, conflict.code

    def _add(self, name, numbers, parts, effective=None):
        for number, (terms, part) in zip(numbers, parts, strict=True):
            credit = Credits(number, terms, part, self.now if effective is None else effective, self.now)
            self.models[name].credits.append(credit)

    @rule(
        name=wallets, amount=few, promo=st.booleans(), life=st.none() | st.integers(1, 60),
        delay=st.sampled_from((0, 0, 9)), priority=st.sampled_from((7, 50, 100)),
    )  # fmt: skip
    def top_up(self, name, amount, promo, life, delay, priority):
        begins = self.now + delay * HOUR_US
        terms = GrantTerms("promo" if promo else "paid", priority, None if life is None else begins + life * HOUR_US)
        made = self._do(self.ledger.top_up, name, amount, terms=terms, effective_us=begins)
        self.models[name].settle(self.now)
        self._add(name, made.grants, [(terms, amount)], begins)

    @rule(hours=st.integers(1, 30))
    def pass_time(self, hours):
        self.now += hours * HOUR_US

    @rule()
    def sweep(self):
        self.ledger.sweep(self.now)
        for model in self.models.values():
            model.settle(self.now)

    @rule(name=wallets, amount=few)
    def lease(self, name, amount):
        model = self.models[name]
        model.settle(self.now)
        there = min(amount, model.balance - model.leased)
        assert self.worker.lease(amount, name, self.now) == there
        model.leased += there

    @rule(name=wallets, shares=st.lists(st.integers(0, 20), min_size=1, max_size=4), back=st.integers(0, 30))
    def charge(self, name, shares, back):
        model = self.models[name]
        charges, room = [], model.leased
        for share in shares:
            charges.append(min(share, room))
            room -= charges[-1]
        back = min(back, room)
        if not model.leased:
            return
        ids = self.worker.charge(*charges, account=name, back=back, at_us=self.now)
        model.leased -= sum(charges) + back
        for request_id, charged in zip(ids, charges, strict=True):
            self.requests.append([name, request_id, charged, model.burn(charged), self.now, 0])

    @precondition(lambda self: self.requests)
    @rule(data=st.data(), amount=st.none() | st.integers(1, 20))
    def refund(self, data, amount):
        chosen = data.draw(st.sampled_from(self.requests))
        name, request_id, charged, parts, at, already = chosen
        wanted = charged - already if amount is None else amount
        made, code = self._try(self.ledger.refund, request_id, amount)
        if made is None:
            assert code == "refund_exceeds_charge"
            assert not wanted or wanted > charged - already
            return
        assert made.amount == wanted <= charged - already
        chosen[5] += wanted
        self.models[name].settle(self.now)
        back, passed = [], 0
        for terms, part in reversed(parts):
            inside = min(passed + part, already + wanted) - max(passed, already)
            passed += part
            if inside > 0:
                life = None if terms.expires_us is None else self.now + max(terms.expires_us - at, DAY_US)
                brought = GrantTerms(terms.category, terms.priority, life)
                if back and back[-1][0] == brought:
                    inside += back.pop()[1]
                back.append((brought, inside))
        self._add(name, made.grants, back)

    @rule(data=st.data(), name=wallets)
    def void(self, data, name):
        model = self.models[name]
        if not model.credits:
            return
        chosen = data.draw(st.sampled_from(model.credits))
        over = chosen.terms.expires_us is not None and chosen.terms.expires_us <= self.now
        made, code = self._try(self.ledger.void, chosen.number)
        if made is None:
            assert code == "grant_over"
            assert chosen.voided or not chosen.left or over
            return
        model.settle(self.now)
        assert not chosen.voided
        chosen.voided = True
        part = min(chosen.left, model.balance - model.leased) if chosen.entered else chosen.left
        assert made.amount == -part
        chosen.left -= part

    @rule(source=wallets, into=wallets, amount=few, arriving=few)
    def transfer(self, source, into, amount, arriving):
        if source == into:
            return
        if source.rpartition(":")[2] == into.rpartition(":")[2]:
            arriving = amount
        made, code = self._try(self.ledger.transfer, source, into, amount, arriving)
        if made is None:
            assert code == "insufficient_balance"
            self.models[source].settle(self.now)
            self.models[into].settle(self.now)
            assert self.models[source].balance - self.models[source].leased < amount
            return
        self.models[source].settle(self.now)
        self.models[into].settle(self.now)
        moved, at = [], 0
        for terms, part in self.models[source].burn(amount):
            share = arriving * (at + part) // amount - arriving * at // amount
            at += part
            if share:
                moved.append((terms, share))
        self._add(into, made.grants, moved)

    @rule(name=wallets, amount=st.integers(-60, 60).filter(bool))
    def adjust(self, name, amount):
        model = self.models[name]
        made, code = self._try(self.ledger.adjust, name, amount)
        if made is None:
            assert code == "insufficient_balance"
            model.settle(self.now)
            assert model.balance - model.leased < -amount
            return
        model.settle(self.now)
        if amount > 0:
            self._add(name, made.grants, [(GrantTerms(), amount)])
        else:
            model.burn(-amount)

    @precondition(lambda self: self.last is not None)
    @rule()
    def repeat(self):
        again, entered = self.last
        assert again(self.now + HOUR_US) == entered

    @invariant()
    def the_books_are_the_model(self):
        rows = {row.account: row for row in self.ledger.accounts("wallet:")}
        waiting = 0
        for name, model in self.models.items():
            assert (rows[name].balance, rows[name].leased) == (model.balance, model.leased)
            there = {grant.id: (grant.remaining, grant.entered_us is not None) for grant in self.ledger.grants(name)}
            assert there == {c.number: (c.left, c.entered) for c in model.credits}
            waiting += sum(c.left for c in model.credits if not c.entered)
        pending = [row.balance for row in self.ledger.accounts("platform:pending")]
        assert sum(pending) == waiting

    def teardown(self):
        assert self.ledger.verify().first_bad is None
        self.database.close()
        shutil.rmtree(self.folder)


def test_whatever_operators_do_the_books_are_the_model(migrated_file, monkeypatch):
    # Not about power cuts: a thousand acts need not wait for the disk.
    monkeypatch.setattr(engine, "_set_synchronous", lambda *_: None)

    def fresh(folder):
        shutil.copyfile(migrated_file, folder / "joytoken.db")
        return f"sqlite:///{folder}/joytoken.db"

    Wallets.fresh = staticmethod(fresh)
    run_state_machine_as_test(Wallets, settings=settings(max_examples=15, stateful_step_count=40))


def test_whatever_operators_do_the_books_are_the_model_on_postgres(postgres, migrated_name):
    made = []

    def fresh(_):
        made.append(postgres.create(migrated_name))
        return made[-1]

    Wallets.fresh = staticmethod(fresh)
    run_state_machine_as_test(Wallets, settings=settings(max_examples=5, stateful_step_count=40))
    for url in made:
        postgres.drop(url)

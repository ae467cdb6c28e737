"""Requests that were paid for, written the way a worker writes them."""

import msgspec

from joytoken.domain.ids import billing_id
from joytoken.domain.ledger import Want, wallet_account
from joytoken.domain.record import Attempt, Detail, Timings, UsageRecord, close_record
from joytoken.domain.route import Candidate
from joytoken.store.batch import Batch
from tests.admin.conftest import NOW_US

CREDIT = 10**9


def paid(desk, *, charged=CREDIT, worker="w", limits=(), **fields):
    """Settle one request of the default owner's standard wallet, and return its record. `limits` are drained, too."""
    number = len(desk.store.usage.list(limit=1000))
    request_id = f"req-{number:032x}"
    account = wallet_account("default", "standard")
    price = next(m.price for m in desk.store.catalog.models() if m.name == "echo/echo")
    detail = Detail(
        rule="alias",
        candidates=msgspec.Raw(msgspec.json.encode([Candidate("echo/echo", "echo/echo", True, "chosen")])),
        attempts=[Attempt("echo", "echo/echo", "echo", 200, started_us=1500, first_byte_us=2000, ended_us=2500)],
        timings=Timings(authenticate=100, settle=3000),
        hold_accounts=(account,),
        input_bound=10,
        output_bound=20,
    )
    values = {
        "request_id": request_id,
        "billing_id": billing_id(request_id),
        "started_us": NOW_US - (number + 1) * 60_000_000,
        "finished_us": NOW_US,
        "owner_id": "default",
        "key_id": desk.store.keys.list()[0].key_id,
        "project": "blue",
        "model_requested": "echo",
        "model": "echo/echo",
        "deployment": "echo/echo",
        "provider": "echo",
        "tier": "standard",
        "input_tokens": 7,
        "output_tokens": 5,
        "price_id": price.price_id,
        "usd_per_credit": 2_000_000,
        "hold": 4 * charged,
        "cost": charged,
        "provider_cost_usd": 0,
        "ending": "completed",
        "usage_source": "reported",
        "http_status": 200,
        "attempts": 1,
        "detail": msgspec.json.encode(detail),
    }
    record = UsageRecord(**{**values, **fields})
    close_record(record, charged, 0)
    epoch = desk.store.ledger.register(f"{worker}{number}", "host", NOW_US)
    wants = (Want(account), *limits)
    desk.store.ledger.grant(f"{worker}{number}", epoch, [(want, 4 * charged, 4 * charged) for want in wants])
    accounts = tuple(want.account for want in wants)
    settle = (1, accounts, charged, record)
    back = dict.fromkeys(accounts, 3 * charged)
    desk.store.ledger.flush(f"{worker}{number}", epoch, Batch(1, [settle], back, NOW_US))
    desk.store.ledger.finish(f"{worker}{number}", epoch)
    return record

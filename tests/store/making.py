"""Values for the store's tests: records that differ, and strategies for what is stored."""

import msgspec
from hypothesis import strategies as st

from joytoken.domain.apikey import ApiKey, Labels, Policy, Secret
from joytoken.domain.catalog import FEATURES, Deployment, Model, Provider
from joytoken.domain.ending import RULES
from joytoken.domain.ids import billing_id
from joytoken.domain.price import Price, Rates, Step
from joytoken.domain.record import UsageRecord
from joytoken.domain.tier import TIERS
from joytoken.store.record import record_row
from joytoken.store.schema_rollup import ROLLED, ROLLED_TABLES
from joytoken.store.setting import put_value
from joytoken.store.usage_insert import insert_records
from joytoken.store.usage_months import Months, months, table_of

NOON_US = 1_795_348_800_000_000  # 2026-11-22T12:00Z

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
names = text.filter(bool)
amounts = st.integers(0, 2**62)
moments = st.integers(0, 2**52)


def maybe(strategy):
    return st.none() | strategy


def tuples_of(strategy, **bounds):
    return st.lists(strategy, max_size=3, **bounds).map(tuple)


policies = st.builds(
    Policy,
    blocked=st.booleans(),
    allowed_tiers=tuples_of(st.sampled_from(TIERS)),
    tier=maybe(st.sampled_from(TIERS)),
    fixed_model=maybe(text),
    allow_models=tuples_of(text),
    deny_models=tuples_of(text),
    ip_allow=tuples_of(text),
    ip_block=tuples_of(text),
    limit_daily=maybe(amounts),
    limit_weekly=maybe(amounts),
    requests_per_minute=maybe(amounts),
    tokens_per_minute=maybe(amounts),
    concurrency=maybe(amounts),
    output_tokens_max=maybe(amounts),
    clamp_output=st.booleans(),
    run_budget=st.booleans(),
)
secrets = st.builds(
    Secret, digest=st.binary(min_size=32, max_size=32), hint=text, created_us=moments, expires_us=maybe(moments)
)
api_keys = st.builds(
    ApiKey,
    key_id=names,
    name=text,
    owner_id=text,
    organisation=text,
    labels=st.builds(Labels, text, text, text, text),
    policy=policies,
    status=st.sampled_from(("active", "revoked")),
    created_us=moments,
    secrets=tuples_of(secrets, unique_by=lambda secret: secret.digest),
    expires_us=maybe(moments),
    generation=st.just(0),
)
rates = st.builds(Rates, amounts, amounts, *[maybe(amounts)] * 5, request=amounts)
steps = tuples_of(st.builds(Step, amounts, rates))
prices = st.builds(Price, st.just(""), rates, maybe(rates), steps, steps)
providers = st.builds(
    Provider,
    name=names,
    kind=text,
    base_url=text,
    api_key_env=maybe(text),
    sealed_key=maybe(st.binary(max_size=40)),
    enabled=st.booleans(),
    on_disconnect=st.sampled_from(("close", "drain")),
    ca_file=maybe(text),
)


@st.composite
def models(draw, provider="echo"):
    name = draw(names)
    ids = draw(st.lists(names, max_size=3, unique=True))
    return Model(
        name=name,
        tier=draw(st.sampled_from(TIERS)),
        price=draw(prices),
        display_name=draw(text),
        aliases=draw(tuples_of(text)),
        vendor=draw(text),
        tags=draw(tuples_of(text)),
        features=draw(tuples_of(st.sampled_from(FEATURES))),
        scenarios=draw(tuples_of(text)),
        description=draw(text),
        description_zh=draw(text),
        context_tokens=draw(maybe(amounts)),
        output_tokens_max=draw(maybe(amounts)),
        mci_score=draw(maybe(st.floats(0, 100))),
        tokenizer=draw(maybe(st.just("qwen3"))),
        enabled=draw(st.booleans()),
        deployments=tuple(
            Deployment(part, name, provider, draw(text), draw(st.integers(0, 1000)), draw(st.booleans()))
            for part in ids
        ),
    )


def key(key_id="key-1", **changes):
    made = ApiKey(key_id, "first", "default", "default", Labels("p", "a", "e", "t"), Policy(), "active", NOON_US)
    return msgspec.structs.replace(made, **changes)


def model(name="m", **changes):
    return msgspec.structs.replace(Model(name, "standard", Price("", Rates(10, 20))), **changes)


def record(number=0, **changes):
    """A record whose every field says something."""
    request_id = f"req-{number:032x}"
    charged = changes.get("charged", 900)
    shortfall = changes.get("shortfall", 100)
    values = {
        "request_id": request_id,
        "billing_id": billing_id(request_id),
        "correlation_id": f"mine-{number}",
        "started_us": NOON_US + number,
        "finished_us": NOON_US + number + 5_000,
        "organisation": "default",
        "owner_id": "owner",
        "key_id": "key-1",
        "project": "blue",
        "application": "shop",
        "environment": "live",
        "task": "answer",
        "end_user": "u-7",
        "tags": '{"team":"search"}',
        "streamed": True,
        "model_requested": "auto",
        "model": "m",
        "deployment": "d",
        "provider": "echo",
        "provider_request_id": "their-1",
        "tier": "standard",
        "input_tokens": 12,
        "output_tokens": 3,
        "cached_input_tokens": 4,
        "cache_write_tokens": None,
        "reasoning_tokens": 1,
        "price_id": "price-0",
        "usd_per_credit": 7,
        "hold": 2_000,
        "cost": charged + shortfall,
        "provider_cost_usd": 55,
        "charged_usd": 70,
        "margin_usd": 15,
        "ending": "completed",
        "usage_source": "reported",
        "http_status": 200,
        "attempts": 1,
        "routing_ms": 0.125,
        "first_token_ms": 10.5,
        "stream_ms": 20.25,
        "total_ms": 31.0,
        "detail": b'{"rule":"auto"}',
        "run_id": "run-2",
        "parent_run_id": "run-1",
        "charged": charged,
        "shortfall": shortfall,
    }
    return UsageRecord(**(values | changes))


def fill(database, records, worker="w1", epoch=1):
    """Insert records as a flush does."""
    rows = [record_row(made, worker, epoch, seq) for seq, made in enumerate(records, 1)]
    if rows:
        months = Months(database)
        months.see_to([made.started_us for made in records])
        with database.write(durable=False) as conn:
            insert_records(conn, rows, months)


def wipe(database):
    """Take all records out, and what their sums are."""
    with database.write(durable=False) as conn:
        for month in months(conn):
            conn.exec_driver_sql(f"DELETE FROM {table_of(month)}")
        for table in ROLLED_TABLES:
            conn.execute(table.delete())
        put_value(conn, ROLLED, "0")


few = st.sampled_from
optional_counts = maybe(st.integers(0, 10**6))


@st.composite
def records_between(draw, since_us, until_us, size=40):
    """Records with few different values, so that groups have more than one member."""
    made = []
    for number in range(draw(st.integers(0, size))):
        changes = {
            "started_us": draw(st.integers(since_us, until_us - 1)),
            "key_id": draw(few(("k1", "k2"))),
            "model": draw(few(("m1", "m2", "é"))),
            "project": draw(few(("", "p"))),
            "end_user": draw(few(("", "u1", "u2"))),
            "tier": draw(few(TIERS)),
            "tags": draw(few(("", "{}", '{"team":"a"}', '{"team":"b","a\\"b.c":"x"}', '{"a\\"b.c":"y"}'))),
            "input_tokens": draw(optional_counts),
            "output_tokens": draw(optional_counts),
            "cached_input_tokens": draw(optional_counts),
            "charged": draw(st.integers(0, 10**12)),
            "shortfall": draw(st.integers(0, 10**6)),
            "provider_cost_usd": draw(optional_counts),
            "charged_usd": draw(optional_counts),
            "margin_usd": draw(maybe(st.integers(-(10**9), 10**9))),
            "ending": draw(few(tuple(RULES))),
            "first_token_ms": draw(maybe(st.integers(0, 10**6).map(lambda us: us / 1000))),
            "total_ms": draw(st.integers(0, 10**8).map(lambda us: us / 1000)),
        }
        made.append(record(number, **changes))
    return made

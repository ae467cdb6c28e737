"""The tables of sums: usage by labels and time, from which questions over months are answered."""

from typing import Any

import sqlalchemy as sa

from joytoken.store.schema_columns import SERIAL, TEXT, big, flag, metadata, text

# Sums of usage records, so that a question over months need not read them: kept up to date by `usage_roll`.
ROLLUP_SUMS = (
    "requests", "errors", "input_tokens", "output_tokens", "cached_input_tokens", "cache_write_tokens",
    "audio_input_tokens", "audio_output_tokens", "reasoning_tokens", "cost", "charged", "shortfall", "charged_usd",
    "provider_cost_usd", "margin_usd", "uncosted", "first_token_us", "first_tokens",
)  # fmt: skip
# What a record is grouped by in them. What has a value of its own for nearly each request is not among these.
ROLLUP_LABELS = (
    "organisation", "owner_id", "key_id", "project", "application", "environment", "task", "endpoint", "model",
    "deployment", "provider", "tier",
)  # fmt: skip
LATENCY_SUMS = ("requests", "errors", "first_tokens")

# Each combination of labels that there was, once. By its key and model, it is one of few.
usage_label = sa.Table(
    "usage_label",
    metadata,
    sa.Column("id", SERIAL, primary_key=True),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),  # an index on all of them may be too long
    *[text(name) for name in ROLLUP_LABELS],
    sa.Index("ix_usage_label_key_id_model", "key_id", "model"),
)


def _sums(name: str, *key: sa.Column[Any], sums: tuple[str, ...] = ROLLUP_SUMS) -> sa.Table:
    return sa.Table(name, metadata, *key, *[big(part) for part in sums], sqlite_with_rowid=False)


def _key(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, primary_key=True)


# Buckets are counted from the epoch in UTC. Every zone's day begins on a quarter of an hour.
# One month is one part of each table.
usage_quarter = _sums("usage_quarter", _key("bucket", sa.BigInteger), _key("label", sa.BigInteger))
usage_hour = _sums("usage_hour", _key("bucket", sa.BigInteger), _key("label", sa.BigInteger))
usage_day = _sums("usage_day", _key("bucket", sa.BigInteger), _key("label", sa.BigInteger))
# Beside the labels, and not by them: each combination with those would be a row.
usage_end_user_day = _sums("usage_end_user_day", _key("bucket", sa.BigInteger), _key("end_user", TEXT))
usage_ending_day = _sums(
    "usage_ending_day", _key("bucket", sa.BigInteger), _key("ending", TEXT), _key("error_code", TEXT)
)
BESIDE = (usage_end_user_day, usage_ending_day)

# The caller's tags. A record without a tag, or with an empty one, has no part in these: it is in `usage_day` alone.
usage_tag_hour = _sums("usage_tag_hour", _key("tag", TEXT), _key("bucket", sa.BigInteger), _key("value", TEXT))
usage_tag_day = _sums("usage_tag_day", _key("tag", TEXT), _key("bucket", sa.BigInteger), _key("value", TEXT))
# The tags of a day (UTC). One that had too many values then is not summed on that day, nor is one that came after too
# many others: for these the name is "".
usage_tag = sa.Table(
    "usage_tag",
    metadata,
    _key("bucket", sa.BigInteger),
    _key("tag", TEXT),
    flag("summed"),
    sqlite_with_rowid=False,
)


def _latency(name: str) -> sa.Table:
    key = (_key("bucket", sa.BigInteger), _key("provider", TEXT), _key("model", TEXT), _key("slot", sa.Integer))
    return _sums(name, *key, sums=LATENCY_SUMS)


# How long requests took, by `domain.latency`'s slots: `requests` and `errors` by the whole time, `first_tokens` by the
# time to the first token.
usage_latency_hour = _latency("usage_latency_hour")
usage_latency_day = _latency("usage_latency_day")

ROLLED_TABLES = (
    usage_label, usage_quarter, usage_hour, usage_day, *BESIDE, usage_tag_hour, usage_tag_day, usage_tag,
    usage_latency_hour, usage_latency_day,
)  # fmt: skip
ROLLED = "usage.rolled"  # the setting with the arrival number up to which these tables have every record

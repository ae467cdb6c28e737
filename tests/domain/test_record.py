"""What a settle writes onto its record."""

from fractions import Fraction

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from joytoken.domain.money import NANO
from joytoken.domain.record import Detail, UsageRecord, close_record

nano = st.integers(0, 2**60)


@given(nano, nano, nano, st.none() | nano)
def test_closing_writes_what_was_charged_in_credits_and_dollars(charged, shortfall, usd_per_credit, provider_cost):
    record = UsageRecord("req-1", usd_per_credit=usd_per_credit, provider_cost_usd=provider_cost)
    close_record(record, charged, shortfall)
    assert (record.charged, record.shortfall) == (charged, shortfall)
    exact = Fraction(charged * usd_per_credit, NANO)
    assert record.charged_usd <= exact < record.charged_usd + 1  # never more dollars than were paid
    if provider_cost is None:
        assert record.margin_usd is None
    else:
        assert record.margin_usd == record.charged_usd - provider_cost


def test_a_journal_of_today_is_read_by_a_later_version():
    """Fields are only added at the end: a record with fewer of them decodes, the rest at their defaults."""
    record = UsageRecord("req-1", "bill-1", "corr", 5, ending="completed", cost=7)
    fields = msgspec.msgpack.decode(msgspec.msgpack.encode(record))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(fields[:4]), type=UsageRecord).started_us == 5
    assert msgspec.convert([*fields, "from the future"], UsageRecord) == record


def test_the_first_fields_of_the_journal_keep_their_places():
    names = UsageRecord.__struct_fields__
    assert names[:4] == ("request_id", "billing_id", "correlation_id", "started_us")
    assert {name: names.index(name) for name in ("model", "hold", "charged", "ending", "detail")} == {
        "model": 17,
        "hold": 31,
        "charged": 33,
        "ending": 38,
        "detail": 47,
    }


def test_a_detail_that_says_nothing_is_empty():
    assert msgspec.json.encode(Detail()) == b"{}"

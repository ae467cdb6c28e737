"""Buckets never hold more than the bucket that includes them, whatever a provider reports."""

from hypothesis import given
from hypothesis import strategies as st

from joytoken.domain.usage import NOTHING, Usage

counts = st.integers(-(2**63), 2**63)
bounds = st.integers(0, 2**31)
usages = st.builds(Usage, counts, counts, *[st.none() | counts] * 5)


@given(usages, bounds, bounds)
def test_a_bounded_usage_exceeds_nothing(usage, input_max, output_max):
    bounded = usage.bounded(input_max, output_max)
    assert 0 <= bounded.input_tokens <= input_max
    assert 0 <= bounded.output_tokens <= output_max
    inputs = [bounded.cached_input_tokens, bounded.cache_write_tokens, bounded.audio_input_tokens]
    outputs = [bounded.reasoning_tokens, bounded.audio_output_tokens]
    assert all(part is None or part >= 0 for part in inputs + outputs)
    assert sum(part or 0 for part in inputs) <= bounded.input_tokens
    assert sum(part or 0 for part in outputs) <= bounded.output_tokens


@given(usages, bounds, bounds)
def test_bounding_twice_changes_nothing_more(usage, input_max, output_max):
    bounded = usage.bounded(input_max, output_max)
    assert bounded.bounded(input_max, output_max) is bounded


@given(usages, bounds, bounds)
def test_identity_tells_whether_something_gave(usage, input_max, output_max):
    bounded = usage.bounded(input_max, output_max)
    assert (bounded is usage) == (bounded == usage)


@given(usages, bounds, bounds)
def test_what_was_not_reported_stays_unknown(usage, input_max, output_max):
    bounded = usage.bounded(input_max, output_max)
    for name in Usage.__struct_fields__:
        assert (getattr(usage, name) is None) == (getattr(bounded, name) is None)


def test_a_usage_that_makes_sense_is_left_as_it_is():
    usage = Usage(100, 50, 60, 20, 20, 10, 40)
    assert usage.bounded(100, 50) is usage


def test_plain_is_a_usage_without_parts():
    assert Usage(5, 5).plain
    assert Usage(5, 5, 0, 0, 0, 0, 0).plain
    assert NOTHING.plain
    for name in Usage.__struct_fields__[2:]:
        assert not Usage(5, 5, **{name: 1}).plain, name

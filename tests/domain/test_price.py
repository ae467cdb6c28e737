"""A charge is the exact sum of its buckets, rounded up once; a hold carries every charge within its bounds."""

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from joytoken.domain.money import NANO
from joytoken.domain.price import MTOK, Price, Rates, Step
from joytoken.domain.usage import Usage

rate = st.integers(0, 2**45)
rates = st.builds(Rates, rate, rate, *[st.none() | rate] * 5, request=st.integers(0, 10**12))
tokens = st.integers(0, 2**24)


@st.composite
def bounded_usages(draw, input_max=2**24, output_max=2**24):
    """Any usage whose parts fit into their wholes."""
    raw = st.none() | st.integers(0, 2**24)
    usage = Usage(
        draw(st.integers(0, input_max)),
        draw(st.integers(0, output_max)),
        draw(raw), draw(raw), draw(raw), draw(raw), draw(raw),
    )  # fmt: skip
    return usage.bounded(input_max, output_max)


@st.composite
def prices(draw):
    """A price with up to three long-context steps, ascending."""
    over = sorted(draw(st.lists(st.integers(0, 2**24), max_size=3, unique=True)))
    return Price("price-0", draw(rates), None, tuple(Step(at, draw(rates)) for at in over))


def exact(rates, usage):
    """The cost as a fraction, bucket by bucket: written down anew, as far from the product's formula as can be."""
    cached, written = usage.cached_input_tokens or 0, usage.cache_write_tokens or 0
    heard, said = usage.audio_input_tokens or 0, usage.audio_output_tokens or 0
    thought = usage.reasoning_tokens or 0
    buckets = [
        (usage.input_tokens - cached - written - heard, rates.input),
        (cached, rates.input if rates.cache_read is None else rates.cache_read),
        (written, rates.input if rates.cache_write is None else rates.cache_write),
        (heard, rates.input if rates.audio_input is None else rates.audio_input),
        (usage.output_tokens - said - thought, rates.output),
        (said, rates.output if rates.audio_output is None else rates.audio_output),
        (thought, rates.output if rates.reasoning is None else rates.reasoning),
    ]
    return rates.request + sum((Fraction(count * price, MTOK) for count, price in buckets), Fraction(0))


@given(rates, bounded_usages())
def test_a_cost_is_the_exact_sum_rounded_up_once(rates, usage):
    assert rates.cost(usage) == ceil(exact(rates, usage))


@given(prices(), bounded_usages())
def test_past_a_step_all_tokens_take_its_rates(price, usage):
    due = price.credits
    for step in price.steps:
        if usage.input_tokens > step.over_tokens:
            due = step.rates
    assert price.charge(usage) == ceil(exact(due, usage))


@given(prices(), tokens, tokens, st.data())
def test_a_hold_carries_every_usage_within_its_bounds(price, input_max, output_max, data):
    usage = data.draw(bounded_usages(input_max, output_max))
    assert price.charge(usage) <= price.hold_amount(input_max, output_max)


@given(rates, tokens, tokens)
def test_the_most_is_reached_by_some_usage(rates, input_tokens, output_tokens):
    inputs = [{}, *({name: input_tokens} for name in ("cached_input_tokens", "cache_write_tokens"))]
    inputs.append({"audio_input_tokens": input_tokens})
    outputs = [{}, {"reasoning_tokens": output_tokens}, {"audio_output_tokens": output_tokens}]
    costs = [rates.cost(Usage(input_tokens, output_tokens, **i, **o)) for i in inputs for o in outputs]
    assert max(costs) <= rates.most(input_tokens, output_tokens)
    if None not in (rates.cache_read, rates.cache_write, rates.audio_input, rates.reasoning, rates.audio_output):
        assert max(costs) == rates.most(input_tokens, output_tokens)


@given(rates, tokens, st.integers(0, 2**60))
def test_affordable_output_is_affordable_and_not_a_token_less(rates, input_tokens, amount):
    output = rates.affordable_output(input_tokens, amount)
    if output < 0:
        assert rates.most(input_tokens, 0) > amount
        return
    assert rates.most(input_tokens, min(output, 2**53)) <= amount
    assume(output < 2**53)
    # Input alone is rounded up too, so that at most the part of one nanocredit is given away.
    dearest = max(rates.output, rates.reasoning or 0, rates.audio_output or 0)
    assert rates.most(input_tokens, output + 1 + -(-MTOK // dearest)) > amount


PLAIN = Rates(75 * NANO, 300 * NANO)
FULL = Rates(
    1000, 2000, cache_read=100, cache_write=1250, audio_input=5000, audio_output=9000, reasoning=3000, request=7
)


@pytest.mark.parametrize(
    ("rates", "usage", "nano"),
    [
        (PLAIN, Usage(0, 0), 0),
        (PLAIN, Usage(1_000_000, 0), 75 * NANO),
        (PLAIN, Usage(1000, 200), 135_000_000),
        (Rates(1, 0), Usage(1, 0), 1),  # a millionth of a nanocredit is rounded up
        (Rates(1, 1), Usage(1, 1), 1),  # … once
        (Rates(1, 0), Usage(1_000_001, 0), 2),
        (FULL, Usage(0, 0), 7),
        (FULL, Usage(10**6, 10**6), 7 + 1000 + 2000),
        (FULL, Usage(10**6, 0, 10**6), 7 + 100),
        (FULL, Usage(10**6, 0, 500_000, 500_000), 7 + 50 + 625),
        (FULL, Usage(10**6, 10**6, audio_input_tokens=10**6, audio_output_tokens=10**6), 7 + 5000 + 9000),
        (FULL, Usage(0, 10**6, reasoning_tokens=250_000), 7 + 1500 + 750),
        (PLAIN, Usage(10**6, 0, 10**6), 75 * NANO),  # no rate of their own: cached tokens cost what input costs
        (Rates(5, 5, cache_read=0), Usage(10**6, 0, 10**6), 0),  # a rate of zero is a rate
    ],
)
def test_costs(rates, usage, nano):
    assert rates.cost(usage) == nano


@pytest.mark.parametrize(("tokens", "nano"), [(199_999, 200), (200_000, 200), (200_001, 401), (10**6, 2000)])
def test_a_step_is_a_cliff(tokens, nano):
    price = Price("p", Rates(1000, 0), steps=(Step(200_000, Rates(2000, 0)),))
    assert price.charge(Usage(tokens, 0)) == nano


def test_the_providers_cost_has_steps_of_its_own():
    price = Price("p", Rates(1, 1), Rates(1000, 0), cost_steps=(Step(10, Rates(MTOK, 0)),))
    assert price.provider_cost(Usage(10, 0)) == 1
    assert price.provider_cost(Usage(11, 0)) == 11
    assert Price("p", Rates(1, 1)).provider_cost(Usage(1, 1)) is None


@pytest.mark.parametrize(
    ("price", "free"),
    [
        (Price("p", Rates(0, 0)), True),
        (Price("p", Rates(0, 1)), False),
        (Price("p", Rates(0, 0, request=1)), False),
        (Price("p", Rates(0, 0, reasoning=1)), False),
        (Price("p", Rates(0, 0), steps=(Step(5, Rates(1, 0)),)), False),
    ],
)
def test_free(price, free):
    assert price.free is free

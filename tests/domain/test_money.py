"""Amounts are exact: what is written is what is read, and nothing is rounded on the way in."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joytoken.domain.money import (
    AMOUNT_MAX,
    NANO,
    AmountError,
    ceil_div,
    format_amount,
    parse_amount,
    short_amount,
)

amounts = st.integers(-AMOUNT_MAX, AMOUNT_MAX)


@given(amounts)
def test_an_amount_survives_its_spelling(nano):
    assert parse_amount(format_amount(nano)) == nano
    assert parse_amount(short_amount(nano)) == nano


@given(amounts)
def test_a_spelling_is_exact_and_has_six_to_nine_decimals(nano):
    text = format_amount(nano)
    assert Fraction(text) == Fraction(nano, NANO)
    assert 6 <= len(text.partition(".")[2]) <= 9


@given(amounts)
def test_the_short_spelling_has_no_digit_too_many(nano):
    text = short_amount(nano)
    assert Fraction(text) == Fraction(nano, NANO)
    assert not text.endswith(".")
    assert "." not in text or not text.endswith("0")


@given(st.from_regex(r"-?\d{1,9}(\.\d{1,9})?", fullmatch=True).filter(str.isascii))
def test_any_plain_decimal_is_read_exactly(text):
    assert parse_amount(text) == Fraction(text) * NANO


@pytest.mark.parametrize(
    ("text", "nano"),
    [
        ("0", 0),
        ("12.5", 12_500_000_000),
        (" 1 ", NANO),
        ("0.000000001", 1),
        ("-0.000000001", -1),
        ("007.10", 7_100_000_000),
        ("9223372036.854775807", AMOUNT_MAX),
    ],
)
def test_amounts_that_are_read(text, nano):
    assert parse_amount(text) == nano


@pytest.mark.parametrize(
    "text",
    ["", " ", "-", ".5", "5.", "1e3", "1,5", "1_000", "+1", "--1", "0x1", "nan", "inf", "1.0000000001", "1 2",
     "9223372036.854775808", "99999999999", "-9223372036.854775808"],
)  # fmt: skip
def test_amounts_that_are_refused(text):
    with pytest.raises(AmountError):
        parse_amount(text)


@pytest.mark.parametrize(
    ("nano", "long", "short"),
    [
        (0, "0.000000", "0"),
        (NANO, "1.000000", "1"),
        (2_000_000, "0.002000", "0.002"),
        (1, "0.000000001", "0.000000001"),
        (10, "0.00000001", "0.00000001"),
        (-1_500_000_000, "-1.500000", "-1.5"),
        (10 * NANO, "10.000000", "10"),
    ],
)
def test_amounts_as_they_are_spelt(nano, long, short):
    assert format_amount(nano) == long
    assert short_amount(nano) == short


@given(st.integers(-(2**80), 2**80), st.integers(1, 2**40))
def test_the_one_rounding_goes_up(dividend, divisor):
    up = ceil_div(dividend, divisor)
    assert up - 1 < Fraction(dividend, divisor) <= up

"""Exact amounts of credits, as decimal texts."""

import re

_DECIMALS = 9
_SHOWN_DECIMALS_MIN = 6
_AMOUNT = re.compile(r"([0-9]{1,54})(?:\.([0-9]{1,9}))?\Z")


def parse_credits(text: str) -> int:
    """Return an amount in nanocredits. Raises ValueError where the text is none."""
    match = _AMOUNT.match(text)
    if match is None:
        raise ValueError('must be a decimal number of credits with at most 9 decimals, such as "0.5"')
    return int(match[1] + (match[2] or "").ljust(_DECIMALS, "0"))


def is_credits(value: object) -> bool:
    return isinstance(value, str) and _AMOUNT.match(value) is not None


def add_credits(total: str, more: object) -> str:
    """Return the exact sum of two amounts; one that is none counts nothing."""
    if not isinstance(more, str) or not is_credits(more):
        return total
    digits = str(parse_credits(total) + parse_credits(more)).rjust(_DECIMALS + 1, "0")
    fraction = digits[-_DECIMALS:].rstrip("0").ljust(_SHOWN_DECIMALS_MIN, "0")
    return f"{digits[:-_DECIMALS]}.{fraction}"

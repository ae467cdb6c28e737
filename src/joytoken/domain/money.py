"""Amounts of money as integers, and their decimal spelling on the wire.

Credits are counted in nanocredits (10**-9 credit), US dollars in nano-dollars. Both fit a signed 64-bit column; on
the wire they are decimal strings with at least 6 and at most 9 decimals.
"""

import re

NANO = 1_000_000_000
AMOUNT_MAX = 2**63 - 1
_DECIMAL = re.compile(r"(-?)(\d{1,10})(?:\.(\d{1,9}))?")


class AmountError(ValueError):
    """The text is not a decimal amount that this project can hold exactly."""


def parse_amount(text: str) -> int:
    """Read a decimal string such as ``"12.5"`` into nano-units.

    Raises AmountError where the text is not a plain decimal number, has more than nine decimals, or is too large:
    an amount is never rounded on the way in.
    """
    match = _DECIMAL.fullmatch(text.strip())
    if match is None:
        raise AmountError(f"{text!r} is not a decimal amount with at most 10 whole digits and 9 decimals")
    sign, whole, fraction = match.groups()
    value = int(whole) * NANO + int((fraction or "").ljust(9, "0"))
    if value > AMOUNT_MAX:
        raise AmountError(f"{text!r} is larger than this system can hold")
    return -value if sign else value


def format_amount(nano: int) -> str:
    """Spell nano-units as a decimal string with 6 to 9 decimals, exactly."""
    if nano < 0:
        return "-" + format_amount(-nano)
    digits = f"{nano:010d}"
    if digits[-3:] == "000":  # six decimals are the contract's least
        return f"{digits[:-9]}.{digits[-9:-3]}"
    return f"{digits[:-9]}.{digits[-9:].rstrip('0')}"


def short_amount(nano: int) -> str:
    """Spell nano-units with as few decimals as are exact: for prices such as ``"0.002"``."""
    text = format_amount(nano).rstrip("0")
    return text.rstrip(".") or "0"


def ceil_div(dividend: int, divisor: int) -> int:
    """Divide two integers and round up: the one rounding of a charge."""
    return -(-dividend // divisor)

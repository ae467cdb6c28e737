"""Arithmetic, worked out by hand: a model's text is never code."""

import math
import re

_SIGNS_MAX = 1000
_DEPTH_MAX = 120  # a level takes four calls of the interpreter, which has a bound of its own
_SPACE = re.compile(r"[ \t-\r]*")
_NUMBER = re.compile(r"[0-9.]+")


def eval_expression(text: str) -> float:
    """Work out an expression of + - * / %, parentheses and decimals.

    Raises ValueError of what is none, of divisions by zero, and of results beyond a float.
    """
    parser = _Parser(text)
    if not text.strip():
        raise ValueError("empty expression")
    value = parser.sum()
    parser.skip()
    if parser.at < len(text):
        raise ValueError(f'unexpected character "{text[parser.at]}" at position {parser.at}')
    if not math.isfinite(value):
        raise ValueError("the result is too large")
    return value


class _Parser:
    """A text, and how far it is read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self._depth = 0

    def skip(self) -> None:
        found = _SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def _take(self, characters: str) -> str:
        """Read one of these characters, if it comes next."""
        self.skip()
        found = self.text[self.at : self.at + 1]
        if not found or found not in characters:
            return ""
        self.at += 1
        return found

    def sum(self) -> float:
        value = self._product()
        while sign := self._take("+-"):
            other = self._product()
            value = value + other if sign == "+" else value - other
        return value

    def _product(self) -> float:
        value = self._factor()
        while operator := self._take("*/%"):
            other = self._factor()
            if operator == "*":
                value *= other
            elif other == 0:
                raise ValueError("division by zero" if operator == "/" else "modulo by zero")
            else:
                value = value / other if operator == "/" else _remainder(value, other)
        return value

    def _factor(self) -> float:
        negative = False
        signs = 0
        while sign := self._take("+-"):
            negative ^= sign == "-"
            signs += 1
            if signs > _SIGNS_MAX:
                raise ValueError(f"the expression is nested more than {_SIGNS_MAX} deep")
        value = self._group() if self._take("(") else self._number()
        return -value if negative else value

    def _group(self) -> float:
        self._depth += 1
        if self._depth > _DEPTH_MAX:
            raise ValueError(f"the expression is nested more than {_DEPTH_MAX} deep")
        value = self.sum()
        if not self._take(")"):
            raise ValueError(f"expected ')' at position {self.at}")
        self._depth -= 1
        return value

    def _number(self) -> float:
        self.skip()
        found = _NUMBER.match(self.text, self.at)
        if found is None:
            raise ValueError(f"expected number at position {self.at}")
        self.at = found.end()
        try:
            return float(found[0])
        except ValueError:
            raise ValueError(f'invalid number "{found[0][:40]}"') from None


def _remainder(value: float, other: float) -> float:
    """Return the remainder with the sign of what is divided."""
    if math.isinf(value):
        raise ValueError("the result is too large")
    return math.fmod(value, other)

"""Sharing a model's calls among its deployments by weight, without a counter in the plan."""

from functools import reduce
from itertools import chain
from math import gcd
from typing import Final

from joytoken.domain.route import Choice

TURNS_MAX: Final = 100  # length of a cycle; weights with a longer one are scaled down


def turns(choices: list[Choice]) -> list[int]:
    """A cycle of positions in `choices`, each as often as its weight tells and as evenly spread as can be.

    The smooth weighted round robin: in each turn every choice gains its weight, and the richest is picked and pays
    the sum of all. A choice of weight 0 is a standby: it never comes first unless all are standbys.
    """
    weights = [max(choice.deployment.weight, 0) for choice in choices]
    if not any(weights):
        return [0]
    if sum(weights) > TURNS_MAX:
        total = sum(weights)
        weights = [max(1, weight * TURNS_MAX // total) if weight else 0 for weight in weights]
    divisor = reduce(gcd, weights)
    weights = [weight // divisor for weight in weights]
    total, purse, order = sum(weights), [0] * len(weights), []
    for _ in range(total):
        purse = [have + weight for have, weight in zip(purse, weights, strict=True)]
        richest = max(range(len(purse)), key=purse.__getitem__)  # the first of equals
        purse[richest] -= total
        order.append(richest)
    return order


def led_by(choices: list[Choice], first: int) -> list[Choice]:
    """The choices with one of them in front, the others in their order."""
    return list(chain((choices[first],), choices[:first], choices[first + 1 :]))

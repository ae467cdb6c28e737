"""How long requests took, counted by slots of time: counts can be added up, and quantiles read from any sum of them."""

from bisect import bisect_right
from collections.abc import Mapping

LOWEST_MS = 0.1
HIGHEST_MS = 3_600_000.0
STEP = 1.2  # each slot ends at so many times its beginning
ERROR_MAX = 0.1  # of a quantile between the lowest and the highest: half a step, and what the edges are rounded by


def _edges() -> tuple[float, ...]:
    found, edge = [LOWEST_MS], LOWEST_MS
    while edge * STEP < HIGHEST_MS:
        edge *= STEP
        found.append(float(f"{edge:.4g}"))
    return (*found, HIGHEST_MS)


# Slot n is from edge n-1 up to but without edge n; slot 0 is below the first, the last one from the last edge on.
EDGES_MS: tuple[float, ...] = _edges()


def slot_of(milliseconds: float) -> int:
    """The slot of a time."""
    return bisect_right(EDGES_MS, milliseconds)


def value_of(slot: int) -> float:
    """The time that stands for a slot, in milliseconds: as far, in proportion, from what is least in it as from most.

    Below the first edge and beyond the last one, that edge.
    """
    if slot <= 0:
        return EDGES_MS[0]
    if slot >= len(EDGES_MS):
        return EDGES_MS[-1]
    low, high = EDGES_MS[slot - 1], EDGES_MS[slot]
    return 2 * low * high / (low + high)


def quantile(counts: Mapping[int, int], share: float) -> float | None:
    """The time in milliseconds within which this share of requests was done, to within `ERROR_MAX`; None without any.

    `counts` are the requests by slot.
    """
    total = sum(counts.values())
    if total <= 0:
        return None
    wanted, seen = max(1, -(-total * round(share * 1_000_000) // 1_000_000)), 0
    for slot in sorted(counts):
        seen += counts[slot]
        if seen >= wanted:
            return value_of(slot)
    return None

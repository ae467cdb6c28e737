"""How well holds are sized: what was frozen for a request over what it then cost.

Counted with each settle, in two rows: requests that bound their own output, and those that leave it to the gateway.
"""

BUCKETS = 64  # an amount has at most 63 bits: no ratio is beyond the last
EDGES: tuple[float, ...] = tuple(float(1 << bucket) for bucket in range(11))  # that are shown: 1, 2, 4, … 1024


class Row:
    """The requests of one kind. Bucket n counts ratios above ``2**(n-1)`` and up to ``2**n``.

    `held` and `charged` are sums of nanocredits, `ratios` is the sum of what the buckets count.
    """

    __slots__ = ("charged", "counts", "held", "ratios")

    def __init__(self) -> None:
        self.counts = [0] * BUCKETS
        self.held = 0
        self.charged = 0
        self.ratios = 0.0

    def observe(self, held: int, charged: int) -> None:
        """Count a settle; `charged` is above zero. Plain arithmetic: this is on the way of every request."""
        self.counts[((held - 1) // charged).bit_length()] += 1
        self.held += held
        self.charged += charged
        self.ratios += held / charged

    def quantile(self, share: float) -> float | None:
        """The upper edge of the bucket in which this share of the requests is reached; None before the first."""
        wanted, seen = sum(self.counts) * share, 0
        for bucket, count in enumerate(self.counts):
            seen += count
            if count and seen >= wanted:
                return float(1 << bucket)
        return None


class Sizing:
    """Both rows of one worker, since its start."""

    __slots__ = ("asked", "default")

    def __init__(self) -> None:
        self.asked = Row()  # with `max_tokens` or `max_completion_tokens`
        self.default = Row()

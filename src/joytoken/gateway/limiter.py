"""A key's rate limits: requests and tokens a minute, and requests under way at once.

Both rates are buckets that hold one minute's worth and fill evenly. Tokens are reserved on admission by an estimate
(input and output bound) and corrected when the request ends, so that requests under way together cannot pass the rate.
"""

from joytoken.domain.apikey import Policy
from joytoken.domain.errors import RateLimited

_MINUTE_S = 60.0


class Limiter:
    """The rates of one key. `now` is monotonic seconds."""

    __slots__ = ("_at", "_requests", "_tokens", "concurrency", "rpm", "tpm", "under_way")

    def __init__(self) -> None:
        self.rpm: int | None = None
        self.tpm: int | None = None
        self.concurrency: int | None = None
        self.under_way = 0
        self._requests = 0.0
        self._tokens = 0.0
        self._at = 0.0

    def configure(self, policy: Policy) -> None:
        """Take over the limits of a policy; a limit that is new or changed starts with a full bucket."""
        if policy.requests_per_minute != self.rpm:
            self.rpm = policy.requests_per_minute
            self._requests = float(self.rpm or 0)
        if policy.tokens_per_minute != self.tpm:
            self.tpm = policy.tokens_per_minute
            self._tokens = float(self.tpm or 0)
        self.concurrency = policy.concurrency

    def enter(self, now: float, estimate: int) -> int:
        """Count a request in; gives the tokens that were reserved of an estimate (never more than a minute's worth).

        Raises RateLimited, naming the limit and the seconds to wait, and then counts nothing.
        """
        reserved = 0
        if self.concurrency is not None and self.under_way >= self.concurrency:
            message = f"this key may have {self.concurrency} requests under way at once; wait for one to end"
            raise RateLimited(message, "concurrency_limit", retry_after_s=1)
        if self.rpm is not None or self.tpm is not None:
            self._fill(now)
            if self.rpm is not None:
                if self._requests < 1:
                    wait = _wait_s(1 - self._requests, self.rpm)
                    message = f"this key may make {self.rpm} requests a minute; try again in {wait} s"
                    raise RateLimited(message, "requests_per_minute", retry_after_s=wait)
                self._requests -= 1
            if self.tpm is not None:
                reserved = min(estimate, self.tpm)
                if self._tokens < reserved:
                    self._requests += 1
                    wait = _wait_s(reserved - self._tokens, self.tpm)
                    message = f"this key may use {self.tpm} tokens a minute; try again in {wait} s"
                    raise RateLimited(message, "tokens_per_minute", retry_after_s=wait)
                self._tokens -= reserved
        self.under_way += 1
        return reserved

    def leave(self, reserved: int, used: int) -> None:
        """Count a request out: what it used takes the place of what was reserved for it."""
        self.under_way -= 1
        self._tokens += reserved - used

    def _fill(self, now: float) -> None:
        passed = now - self._at
        if passed <= 0:  # a request whose body was slow began before others that are counted already
            return
        self._at = now
        if self.rpm is not None:
            self._requests = min(self.rpm, self._requests + passed * self.rpm / _MINUTE_S)
        if self.tpm is not None:
            self._tokens = min(self.tpm, self._tokens + passed * self.tpm / _MINUTE_S)


def _wait_s(missing: float, per_minute: int) -> int:
    return max(1, -int(-missing * _MINUTE_S // max(per_minute, 1)))

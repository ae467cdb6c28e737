"""The keyring: every key by its digest, in memory, at most a poll behind the store.

A key that was made, changed or revoked anywhere raises the store's configuration generation; `refresh` then takes
over what changed. Nothing on the way of a request waits for it.
"""

import ipaddress
from collections.abc import Callable, Iterable

from joytoken.domain.apikey import ApiKey
from joytoken.domain.budget import Budget
from joytoken.domain.ids import secret_digest
from joytoken.domain.ledger import Want, quota_account, wallet_account
from joytoken.domain.tier import TIERS, Tier
from joytoken.gateway.budgets import KeyBudgets, budgets_for
from joytoken.gateway.limiter import Limiter
from joytoken.gateway.windows import Windows

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Principal:
    """A key, made ready for the checks of each request."""

    __slots__ = (
        "_windows",
        "_wants",
        "_wants_for",
        "budgets",
        "ip_allow",
        "ip_block",
        "key",
        "limiter",
        "policy",
        "tiers",
        "wallets",
    )

    def __init__(self, key: ApiKey, windows: Windows, limiter: Limiter) -> None:
        policy = key.policy
        self.key = key
        self.policy = policy
        self.limiter = limiter
        self.ip_allow = _networks(policy.ip_allow)
        self.ip_block = _networks(policy.ip_block)
        allowed: tuple[Tier, ...] = policy.allowed_tiers or TIERS
        self.tiers = tuple(t for t in allowed if policy.tier is None or t == policy.tier)
        self.wallets: dict[Tier, Want] = {tier: Want(wallet_account(key.owner_id, tier)) for tier in TIERS}
        self.budgets: KeyBudgets | None = None
        self._windows = windows
        self._wants: tuple[Want, ...] = ()
        self._wants_for = ""

    def quotas(self, now_us: int) -> tuple[Want, ...]:
        """The key's quota accounts in the windows of this moment."""
        policy = self.policy
        if policy.limit_daily is None and policy.limit_weekly is None:
            return ()
        day, week = self._windows.at(now_us)
        if day != self._wants_for:
            wants = []
            if policy.limit_daily is not None:
                wants.append(Want(quota_account(self.key.key_id, day), policy.limit_daily))
            if policy.limit_weekly is not None:
                wants.append(Want(quota_account(self.key.key_id, week), policy.limit_weekly))
            self._wants, self._wants_for = tuple(wants), day
        return self._wants


def _networks(cidrs: Iterable[str]) -> tuple[Network, ...]:
    return tuple(ipaddress.ip_network(cidr, strict=False) for cidr in cidrs)


class Keyring:
    """Principals by the digest of their secrets."""

    def __init__(
        self, pepper: bytes, windows: Windows, limiter: Callable[[str], Limiter] = lambda _: Limiter()
    ) -> None:
        """`limiter` makes the one of a key, by its id."""
        self._pepper = pepper
        self._limiter = limiter
        self._windows = windows
        self._by_digest: dict[bytes, tuple[Principal, int]] = {}
        self._digests: dict[str, tuple[bytes, ...]] = {}
        self._limiters: dict[str, Limiter] = {}
        self._budgets: tuple[Budget, ...] = ()
        self.generation = -1

    def __len__(self) -> int:
        return len(self._digests)

    def digest(self, secret: bytes) -> bytes:
        """What a secret is found by."""
        return secret_digest(secret, self._pepper)

    def find(self, digest: bytes, now_us: int) -> Principal | None:
        """The principal of a secret by its digest; None where it is unknown, revoked or expired."""
        found = self._by_digest.get(digest)
        if found is None:
            return None
        principal, until_us = found
        if until_us and now_us >= until_us:
            return None
        return principal

    def take_over(self, generation: int, keys: Iterable[ApiKey], budgets: Iterable[Budget] | None = None) -> None:
        """Replace the keys that changed, and all budgets. A key's rate limits keep what was used of them."""
        if budgets is not None and (given := tuple(budgets)) != self._budgets:
            self._budgets = given
            for principal, _ in self._by_digest.values():
                principal.budgets = budgets_for(principal.key, given)
        for key in keys:
            for digest in self._digests.pop(key.key_id, ()):
                self._by_digest.pop(digest, None)
            if key.status != "active":
                self._limiters.pop(key.key_id, None)
                continue
            limiter = self._limiters.get(key.key_id) or self._limiter(key.key_id)
            limiter.configure(key.policy)
            self._limiters[key.key_id] = limiter
            principal = Principal(key, self._windows, limiter)
            principal.budgets = budgets_for(key, self._budgets)
            for secret in key.secrets:
                until = [t for t in (secret.expires_us, key.expires_us) if t is not None]
                self._by_digest[secret.digest] = (principal, min(until) if until else 0)
            self._digests[key.key_id] = tuple(secret.digest for secret in key.secrets)
        self.generation = generation

"""Tiers: economy, standard, premium, each with a wallet of its own."""

from typing import Final, Literal

Tier = Literal["economy", "standard", "premium"]
ECONOMY: Final[Tier] = "economy"
STANDARD: Final[Tier] = "standard"
PREMIUM: Final[Tier] = "premium"
TIERS: Final[tuple[Tier, ...]] = (ECONOMY, STANDARD, PREMIUM)
DEFAULT_TIER: Final[Tier] = STANDARD

# When the wallet of the key's tier cannot carry a request for `auto`, these are asked next, in this order.
FALLBACK: Final[dict[Tier, tuple[Tier, ...]]] = {
    PREMIUM: (STANDARD, ECONOMY),
    STANDARD: (PREMIUM, ECONOMY),
    ECONOMY: (STANDARD, PREMIUM),
}


def parse_tier(name: str) -> Tier | None:
    """The tier of this name, or None where there is none."""
    for tier in TIERS:
        if tier == name:
            return tier
    return None

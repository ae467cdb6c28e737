"""Keys and their policies."""

from typing import Literal

import msgspec

from joytoken.domain.tier import Tier

KeyStatus = Literal["active", "revoked"]
DEFAULT_OWNER = "default"
DEFAULT_ORGANISATION = "default"


class Labels(msgspec.Struct, frozen=True, gc=False):
    """Whose money a key spends; copied onto each usage record."""

    project: str = ""
    application: str = ""
    environment: str = ""
    task: str = ""


class Policy(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a key may do. An empty list or None means: no such limit."""

    blocked: bool = False
    allowed_tiers: tuple[Tier, ...] = ()
    tier: Tier | None = None  # narrows the allowed tiers to this one, and is the tier of an unspecific request
    fixed_model: str | None = None
    allow_models: tuple[str, ...] = ()
    deny_models: tuple[str, ...] = ()
    ip_allow: tuple[str, ...] = ()  # CIDR
    ip_block: tuple[str, ...] = ()  # CIDR
    limit_daily: int | None = None  # nanocredits in one day of the reporting zone
    limit_weekly: int | None = None  # nanocredits in one ISO week of the reporting zone
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None  # requests under way at once
    output_tokens_max: int | None = None  # greatest output of one request
    run_budget: bool = False  # the first request of a run may say how much the run may spend
    clamp_output: bool = False  # where less is affordable than asked, lower the output bound instead of refusing


class Secret(msgspec.Struct, frozen=True, gc=False):
    """One credential of a key, known by its keyed digest alone."""

    digest: bytes
    hint: str
    created_us: int
    expires_us: int | None = None  # set on the older secret when a key is rotated


class ApiKey(msgspec.Struct, frozen=True):
    """A key: who calls, what they may do, and whose wallet pays. Times are unix microseconds."""

    key_id: str
    name: str
    owner_id: str
    organisation: str
    labels: Labels
    policy: Policy
    status: KeyStatus
    created_us: int
    secrets: tuple[Secret, ...] = ()
    expires_us: int | None = None
    generation: int = 0  # the configuration generation of its last change

"""What every act of management stands on: the store, the settings, the vault, a clock, chance, and who acts."""

import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from joytoken.admin.vault import Vault
from joytoken.config.settings import Settings
from joytoken.store.open import Store

DEFAULT_ACTOR = "cli"


def silent(done: int, total: int, what: str) -> None:
    """Tell nobody."""


def wall_us() -> int:
    """The time now in unix microseconds."""
    return time.time_ns() // 1000


@dataclass(frozen=True)
class Desk:
    """The place where an act of management happens. Immutable; one serves all threads."""

    store: Store
    settings: Settings
    vault: Vault
    actor: str = DEFAULT_ACTOR
    now_us: Callable[[], int] = wall_us
    entropy: Callable[[int], bytes] = secrets.token_bytes
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)  # where providers' credentials may stand
    progress: Callable[[int, int, str], None] = silent  # told how far a long act is

    def acting(self, actor: str) -> "Desk":
        """The same desk for another actor."""
        return replace(self, actor=actor)

    def note(self, action: str, subject: str, before: Any = None, after: Any = None) -> None:
        """Write a change into the audit log. What is handed in must hold no secret."""
        self.store.audit.add(self.actor, action, subject, _json(before), _json(after), self.now_us())


def _json(value: Any) -> str:
    return "" if value is None else msgspec.json.encode(value).decode()

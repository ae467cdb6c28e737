"""What a run is called, to the gateway and to a store."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import TypedDict

from joytoken_sdk.agent.credits import parse_credits
from joytoken_sdk.errors import InvalidCall

_NAME_CHARACTERS_MAX = 128
_CHILD_CHARACTERS = 95
_HASH_DIGITS = 32
_VISIBLE = re.compile(r"[!-~]{1,128}\Z")
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """The run that model calls belong to. Texts are 1 to 128 visible ASCII characters without spaces."""

    id: str | None = None
    """A random one by default."""
    parent_id: str | None = None
    """The run that began this one."""
    workflow: str | None = None
    """A name for what is done, such as `nightly`."""
    budget: str | None = None
    """Credits that the run may spend, a decimal text such as `"0.5"`. The key needs leave to set one."""


class RunIdentity(TypedDict):
    """A run's names, as they are kept."""

    id: str
    parent_id: str | None
    workflow: str | None
    budget: str | None


def identity_of(options: RunOptions | None) -> RunIdentity:
    """Return a run's names, with a random id where it has none. Raises InvalidCall of one that no header carries."""
    given = options or RunOptions()
    identity = RunIdentity(
        id=given.id if given.id is not None else f"run-{secrets.token_hex(16)}",
        parent_id=given.parent_id,
        workflow=given.workflow,
        budget=given.budget,
    )
    check_identity(identity)
    return identity


def check_identity(identity: RunIdentity) -> None:
    """Raise InvalidCall where a name is none, or the budget is no amount."""
    for name in ("id", "parent_id", "workflow"):
        value: object = identity[name]
        if name != "id" and value is None:
            continue
        if not (isinstance(value, str) and _VISIBLE.match(value)):
            raise InvalidCall(f"run.{name} must be 1 to 128 visible ASCII characters without spaces")
    if identity["budget"] is None:
        return
    try:
        parse_credits(identity["budget"])
    except (ValueError, TypeError) as error:
        raise InvalidCall(f"run.budget {error}") from None


def call_key(run_id: str, call: int) -> str:
    """Return the `Idempotency-Key` of a run's model call, from 1."""
    return f"{run_id}:{call}"


def child_run_id(parent: str, call_id: str) -> str:
    """Return the id of the run that a tool call begins, the same in each process and language.

    It is `parent.call` where that is a safe name, else its beginning and a part of its hash.
    """
    whole = f"{parent}.{call_id}"
    if len(whole) <= _NAME_CHARACTERS_MAX and not _UNSAFE.search(whole):
        return whole
    digest = hashlib.sha256(whole.encode()).hexdigest()
    return f"{_UNSAFE.sub('_', whole[:_CHILD_CHARACTERS])}-{digest[:_HASH_DIGITS]}"

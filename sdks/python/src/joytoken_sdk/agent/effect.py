"""What a run asks of the world. The run itself is a generator of these; `sync_driver` and `async_driver` do them."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from joytoken_sdk.agent.model import ModelRequest
from joytoken_sdk.agent.result import AgentEvent
from joytoken_sdk.agent.state import RunState
from joytoken_sdk.agent.store import AnyRunStore
from joytoken_sdk.agent.tool_round import Work


@dataclass(frozen=True, slots=True)
class Ask:
    """Make a model call; the answer is a `ModelResponse`."""

    request: ModelRequest


@dataclass(frozen=True, slots=True)
class UseTools:
    """Run the tools of these works, at most so many at once; the works have their results then."""

    works: list[Work]
    concurrency: int


@dataclass(frozen=True, slots=True)
class Save:
    """Keep a state."""

    store: AnyRunStore
    state: RunState


@dataclass(frozen=True, slots=True)
class Load:
    """Read a state; the answer is None where there is none."""

    store: AnyRunStore
    run_id: str


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell who listens what has happened."""

    event: AgentEvent


Effect: TypeAlias = Ask | UseTools | Save | Load | Tell
T = TypeVar("T")
Steps: TypeAlias = Generator[Effect, Any, T]
"""A part of a run: it yields effects, is sent what came of them, and returns a value."""

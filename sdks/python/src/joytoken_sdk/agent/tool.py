"""What a model can have called."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from joytoken_sdk.agent.identity import RunIdentity
from joytoken_sdk.agent.state import RunState
from joytoken_sdk.agent.store import AnyRunStore
from joytoken_sdk.json_value import JsonObject
from joytoken_sdk.tool_calls import to_chat_tool


@dataclass(frozen=True, slots=True)
class Rejection:
    """A decision against a call, with a reason that is told to the model."""

    reason: str = ""


Decision: TypeAlias = bool | Rejection | Mapping[str, Any]
"""What was decided of a call that waited: True, False, a `Rejection`, or `{"approved": bool, "reason": str}`."""


@dataclass(slots=True)
class Scope:
    """What a tool call knows of its run, so that an agent within it is a child of that run."""

    run: RunIdentity
    store: AnyRunStore | None
    call_id: str
    """Unique within the run."""
    decisions: dict[str, Decision]
    """Decisions on calls of the child run."""
    children: list[RunState] = field(default_factory=list[RunState])
    """The child runs that the call began or went on with: what they have cost counts, also where they fail."""


@dataclass(frozen=True, slots=True)
class ToolExecutionContext:
    """What a tool is run with.

    A tool may be run again after a crash: whoever must not do a thing twice keeps `run_id` and `tool_call_id` with it.
    """

    step: int
    """The number of the model's answer that asked for the call, from 1."""
    tool_call: JsonObject
    messages: list[JsonObject] = field(repr=False)
    run_id: str = ""
    tool_call_id: str = ""
    scope: Scope | None = field(default=None, repr=False)
    """Of the agent alone."""


ToolExecuteFunc: TypeAlias = Callable[[Any, ToolExecutionContext], Any]
"""What a tool does, with its input and its context. For an `AsyncAgent` it may be a coroutine function."""


@dataclass(frozen=True, slots=True)
class AgentTool:
    """A tool of an agent. `parameters` is a JSON Schema of its input, which is checked before `execute` is called."""

    name: str
    execute: ToolExecuteFunc = field(repr=False)
    description: str | None = None
    parameters: JsonObject | None = None
    requires_approval: bool | Callable[[Any], bool] = False
    """Whether a call waits for somebody's decision before it is run: always, or for some inputs."""


def define_tool(
    name: str,
    execute: ToolExecuteFunc,
    *,
    description: str | None = None,
    parameters: JsonObject | None = None,
    requires_approval: bool | Callable[[Any], bool] = False,
) -> AgentTool:
    """Return a tool with a JSON Schema of its own; see `tool` for one from type hints."""
    return AgentTool(name, execute, description, parameters, requires_approval)


class ToolBox:
    """The tools of a run. Of two with one name the last is there, in the place of the first."""

    def __init__(self, tools: list[AgentTool]) -> None:
        if any(not tool.name for tool in tools):
            raise ValueError("a tool has no name")
        self._tools = {tool.name: tool for tool in tools}
        self.declared = [to_chat_tool(tool.name, tool.description, tool.parameters) for tool in self._tools.values()]

    def find(self, name: str) -> AgentTool | None:
        return self._tools.get(name)


def needs_approval(tool: AgentTool, given: object) -> bool:
    """Tell whether a call waits for a decision; one of a tool that raises over it does."""
    if isinstance(tool.requires_approval, bool):
        return tool.requires_approval
    try:
        return bool(tool.requires_approval(given))
    except Exception:  # noqa: BLE001 - whatever went wrong, somebody should look at it
        return True

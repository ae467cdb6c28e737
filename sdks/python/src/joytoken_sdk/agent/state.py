"""The whole of a run as JSON: what is needed to go on with it elsewhere. All SDKs have the same."""

import copy
import json
from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict, cast

from joytoken_sdk.agent.credits import is_credits
from joytoken_sdk.agent.identity import RunIdentity, check_identity
from joytoken_sdk.errors import JoyTokenError
from joytoken_sdk.json_value import JsonObject, compact, number_of, object_of, objects_of, text_of, well_formed

RunStatus: TypeAlias = Literal["running", "pending", "done", "stopped"]
"""How far a run is: `running` is also one whose process has died, `pending` one that waits for decisions."""

_VERSION = 1
_STATUSES = ("running", "pending", "done", "stopped")


class StateError(JoyTokenError, ValueError):
    """A state that cannot be read; the message says what is wrong with it."""


class PendingCall(TypedDict):
    """A tool call that waits for a decision; `input` is its parsed arguments."""

    tool_call_id: str
    tool_name: str
    input: Any


class ToolResultState(TypedDict):
    """What was told to the model of one tool call, as it is kept."""

    tool_call_id: str
    tool_name: str
    content: str
    is_error: bool


class StepState(TypedDict):
    """One model call and its tools, as they are kept: fewer results than calls where tools are still to be run."""

    index: int
    assistant_message: JsonObject
    tool_results: list[ToolResultState]
    usage: JsonObject | None
    request_id: NotRequired[str]
    metadata: NotRequired[JsonObject]


class UsageState(TypedDict):
    """Tokens and cost of a run, as they are kept."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cost: float | None


class RunState(TypedDict):
    """A run. `step` counts the answers of the model, `tool_calls` the calls with a result; `credits_used` is exact."""

    version: int
    run: RunIdentity
    status: RunStatus
    step: int
    tool_calls: int
    messages: list[JsonObject]
    steps: list[StepState]
    usage: UsageState
    credits_used: str
    pending: list[PendingCall]
    final_text: str
    stopped_by: str | None


def new_usage() -> UsageState:
    return UsageState(prompt_tokens=0, completion_tokens=0, total_tokens=0, cost=None)


def new_run_state(run: RunIdentity, messages: list[JsonObject]) -> RunState:
    """Return a run before its first model call."""
    return RunState(
        version=_VERSION,
        run=run,
        status="running",
        step=0,
        tool_calls=0,
        messages=messages,
        steps=[],
        usage=new_usage(),
        credits_used="0",
        pending=[],
        final_text="",
        stopped_by=None,
    )


def parse_run_state(given: str | Mapping[str, Any]) -> RunState:
    """Read a state from its JSON, a text or an object; a copy is given back. Raises StateError."""
    try:
        read: object = json.loads(given) if isinstance(given, str) else copy.deepcopy(given)
    except (ValueError, RecursionError) as error:
        raise StateError(f"a run's state must be JSON: {error}") from None
    state = object_of(read)
    if state is None:
        raise StateError("a run's state must be a JSON object")
    if (problem := _problem_of(state)) is not None:
        raise StateError(problem)
    return cast("RunState", well_formed(state))


def encode_run_state(state: RunState) -> str:
    """Return a state as JSON."""
    return compact(state)


def _problem_of(state: JsonObject) -> str | None:
    version = state.get("version")
    if type(version) is not int or version != _VERSION:
        return f"the state has version {version!r}; this SDK reads version {_VERSION}"
    run = object_of(state.get("run"))
    if run is None:
        return "the state has no run"
    fields = {name: run.get(name) for name in ("id", "parent_id", "workflow", "budget")}
    check_identity(cast("RunIdentity", fields))
    if state.get("status") not in _STATUSES:
        return f"the state has the unknown status {state.get('status')!r}"
    for field in ("messages", "steps", "pending"):
        value = state.get(field)
        if not isinstance(value, list) or len(objects_of(cast("object", value))) != len(cast("list[object]", value)):
            return f"the state's {field} must be a list of objects"
    for field in ("step", "tool_calls"):
        count = state.get(field)
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            return f"the state's {field} must be a number of at least 0"
    if state["step"] != len(state["steps"]):
        return "the state's step must be the number of its steps"
    if object_of(state.get("usage")) is None:
        return "the state has no usage"
    if not is_credits(state.get("credits_used")):
        return "the state's credits_used must be a decimal text"
    return None


def add_usage(total: UsageState, more: Mapping[str, Any] | None) -> None:
    """Count one model call, or a sub-agent's calls."""
    if more is None:
        return
    total["prompt_tokens"] += int(number_of(more.get("prompt_tokens")) or 0)
    total["completion_tokens"] += int(number_of(more.get("completion_tokens")) or 0)
    total["total_tokens"] += int(number_of(more.get("total_tokens")) or 0)
    cost = more.get("cost")
    cost = number_of(more.get("total_cost") if cost is None else cost)
    if cost is not None:
        total["cost"] = (total["cost"] or 0) + cost


def calls_of(message: JsonObject) -> list[JsonObject]:
    """Return the tool calls of a message."""
    return objects_of(message.get("tool_calls"))


def call_id_of(call: JsonObject) -> str:
    return text_of(call.get("id")) or ""


def open_calls(state: RunState) -> list[int]:
    """Return the positions of the last answer's calls that have no result yet.

    Ids need not be unique: results are told apart by their order.
    """
    if not state["steps"]:
        return []
    step = state["steps"][-1]
    left = [result["tool_call_id"] for result in step["tool_results"]]
    found: list[int] = []
    for position, call in enumerate(calls_of(step["assistant_message"])):
        if call_id_of(call) in left:
            left.remove(call_id_of(call))
        else:
            found.append(position)
    return found


def is_answered(state: RunState) -> bool:
    """Tell whether the model's last message was its final answer, and nothing was said after it."""
    if not state["steps"] or calls_of(state["steps"][-1]["assistant_message"]):
        return False
    return bool(state["messages"]) and state["messages"][-1].get("role") == "assistant"


def last_text(state: RunState) -> str:
    """Return the text of the model's last message."""
    return content_text(state["steps"][-1]["assistant_message"].get("content")) if state["steps"] else ""


def content_text(content: object) -> str:
    """Return the text of a content: itself, or that of its parts."""
    if isinstance(content, str):
        return content
    return "".join(text_of(part.get("text")) or "" for part in objects_of(content))

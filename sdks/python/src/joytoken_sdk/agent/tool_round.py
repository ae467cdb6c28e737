"""The tool calls of one answer: what is run, what waits, and what is told to the model. Nothing is run here."""

from dataclasses import dataclass, field
from typing import Any

from joytoken_sdk.agent.credits import add_credits
from joytoken_sdk.agent.schema_check import is_deep, misfit_of
from joytoken_sdk.agent.state import (
    PendingCall,
    RunState,
    ToolResultState,
    add_usage,
    call_id_of,
    calls_of,
    open_calls,
)
from joytoken_sdk.agent.store import AnyRunStore
from joytoken_sdk.agent.tool import (
    AgentTool,
    Decision,
    Rejection,
    Scope,
    ToolBox,
    ToolExecutionContext,
    needs_approval,
)
from joytoken_sdk.json_value import JsonObject, object_of, text_of, well_formed
from joytoken_sdk.tool_calls import parse_tool_arguments, stringify_tool_result

TOOL_RESULT_BYTES_MAX = 1 << 20
"""How much of a tool's result is told to the model, in bytes."""


class ChildWaits(Exception):
    """A child run waits for decisions: its parent waits, too."""

    def __init__(self, pending: list[PendingCall]) -> None:
        super().__init__("the sub-agent waits for an approval")
        self.pending = pending


@dataclass(slots=True)
class Work:
    """One call of a turn, and what came of it."""

    call: JsonObject
    tool: AgentTool | None
    given: Any
    context: ToolExecutionContext
    scope: Scope
    result: ToolResultState | None = None
    waiting: list[PendingCall] = field(default_factory=list[PendingCall])
    """What must be decided on before it can be run, or end."""

    @property
    def to_run(self) -> bool:
        return self.tool is not None and self.result is None and not self.waiting

    def begin(self) -> Any:
        """Call the tool; of an asynchronous one the result is to be awaited."""
        assert self.tool is not None
        return self.tool.execute(self.given, self.context)

    def succeed(self, value: object) -> None:
        """Take what the tool returned."""
        try:
            content = stringify_tool_result(value)
        except Exception as error:  # noqa: BLE001 - also what a dump of the tool's own classes raises
            self.fail(error)
        else:
            self.result = self._told(_bounded(content), is_error=False)

    def fail(self, error: Exception) -> None:
        """Take what the tool raised."""
        if isinstance(error, ChildWaits):
            own = call_id_of(self.call)
            self.waiting = [
                PendingCall(
                    tool_call_id=f"{own}/{call['tool_call_id']}", tool_name=call["tool_name"], input=call["input"]
                )
                for call in error.pending
            ]
        else:
            self.refuse(f"Tool error: {error or type(error).__name__}")

    def refuse(self, content: str) -> None:
        """Tell the model that nothing came of the call."""
        self.result = self._told(_bounded(content), is_error=True)

    def _told(self, content: str, *, is_error: bool) -> ToolResultState:
        return ToolResultState(
            tool_call_id=call_id_of(self.call), tool_name=name_of(self.call), content=content, is_error=is_error
        )


def plan_round(
    state: RunState, tools: ToolBox, store: AnyRunStore | None, decisions: dict[str, Decision]
) -> list[Work]:
    """Return the calls of the last answer that have no result yet; some may have one now, some wait for a decision."""
    return [_work_of(state, position, tools, store, decisions) for position in open_calls(state)]


def keep_results(state: RunState, works: list[Work]) -> None:
    """Put results into the state: those of the step in the order of its calls, and their messages behind it."""
    step = state["steps"][-1]
    left = list(step["tool_results"])
    for work in works:
        if work.result is not None:
            left.append(work.result)
            state["tool_calls"] += 1
            for child in work.scope.children:
                add_usage(state["usage"], child["usage"])
                state["credits_used"] = add_credits(state["credits_used"], child["credits_used"])
    ordered: list[ToolResultState] = []
    for call in calls_of(step["assistant_message"]):
        at = next((at for at, result in enumerate(left) if result["tool_call_id"] == call_id_of(call)), None)
        if at is not None:
            ordered.append(left.pop(at))
    step["tool_results"] = ordered
    while state["messages"] and state["messages"][-1].get("role") == "tool":
        state["messages"].pop()
    state["messages"].extend(
        {"role": "tool", "tool_call_id": result["tool_call_id"], "content": result["content"]} for result in ordered
    )


def name_of(call: JsonObject) -> str:
    return text_of((object_of(call.get("function")) or {}).get("name")) or ""


def _work_of(
    state: RunState, position: int, tools: ToolBox, store: AnyRunStore | None, decisions: dict[str, Decision]
) -> Work:
    call = calls_of(state["steps"][-1]["assistant_message"])[position]
    call_id = call_id_of(call)
    arguments = (object_of(call.get("function")) or {}).get("arguments")
    given = parse_tool_arguments(arguments if isinstance(arguments, str) else "")
    scope = Scope(state["run"], store, _unique_call_id(state, position), _decisions_below(decisions, call_id))
    context = ToolExecutionContext(
        state["step"], call, list(state["messages"]), state["run"]["id"], scope.call_id, scope
    )
    tool = tools.find(name_of(call))
    work = Work(call, tool, given, context, scope)
    if tool is None:
        work.refuse(f"Tool not found: {name_of(call)}")
    elif (misfit := _misfit(tool, given)) is not None:
        work.refuse(f"Tool error: invalid arguments: {misfit}")
    elif needs_approval(tool, given):
        _decide(work, decisions.get(call_id))
    return work


def _misfit(tool: AgentTool, given: object) -> str | None:
    return "they are nested too deeply" if is_deep(given) else misfit_of(tool.parameters, given)


def _decide(work: Work, decision: Decision | None) -> None:
    """Let a call wait, be refused, or be run."""
    if decision is None:
        waiting = PendingCall(tool_call_id=call_id_of(work.call), tool_name=name_of(work.call), input=work.given)
        work.waiting = [waiting]
        return
    approved, reason = _approval_of(decision)
    if not approved:
        work.refuse(f"Tool call rejected: {reason.strip() or 'not approved'}")


def _approval_of(decision: Decision) -> tuple[bool, str]:
    if isinstance(decision, bool):
        return decision, ""
    if isinstance(decision, Rejection):
        return False, decision.reason
    return decision.get("approved") is True, str(decision.get("reason") or "")


def _unique_call_id(state: RunState, position: int) -> str:
    """Return the call's id, with a number where an earlier call of the run had the same one."""
    ids: list[str] = []
    for step in state["steps"]:
        ids += [call_id_of(call) for call in calls_of(step["assistant_message"])]
    after = len(calls_of(state["steps"][-1]["assistant_message"])) - position - 1
    ids = ids[: len(ids) - after]
    same = ids.count(ids[-1])
    return ids[-1] if same == 1 else f"{ids[-1]}-{same}"


def _decisions_below(decisions: dict[str, Decision], call_id: str) -> dict[str, Decision]:
    """Return the decisions on calls of the child run that a tool call began."""
    prefix = f"{call_id}/"
    return {name.removeprefix(prefix): decision for name, decision in decisions.items() if name.startswith(prefix)}


def _bounded(content: str) -> str:
    """Cut what is too long to be told, between two characters."""
    content = well_formed(content)
    if len(content) * 4 <= TOOL_RESULT_BYTES_MAX:
        return content
    whole = content.encode()
    if len(whole) <= TOOL_RESULT_BYTES_MAX:
        return content
    told = whole[:TOOL_RESULT_BYTES_MAX].decode("utf-8", "ignore")
    size = len(told.encode())
    return f"{told}\n[cut: the result has {len(whole)} bytes, and {size} are told]"

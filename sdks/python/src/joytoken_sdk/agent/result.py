"""What a run came to, and what happens on the way."""

from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from joytoken_sdk.agent.state import PendingCall, RunState, RunStatus, StepState, ToolResultState
from joytoken_sdk.errors import JoyTokenAPIError
from joytoken_sdk.json_value import JsonObject
from joytoken_sdk.metadata import CallMetadata


@dataclass(frozen=True, slots=True)
class UsageSummary:
    """Tokens of a run, and its cost where answers told one; those of sub-agents included."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cost: float | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What was told to the model of one tool call."""

    tool_call_id: str
    tool_name: str
    content: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class AgentStep:
    """One model call and the tools that it had called; `index` is from 1, `request_id` names its receipt."""

    index: int
    assistant_message: JsonObject
    tool_results: list[ToolResult]
    usage: JsonObject | None = None
    request_id: str | None = None
    metadata: CallMetadata | None = None


@dataclass(frozen=True, slots=True)
class AgentState:
    """What a stop condition sees."""

    step: int
    """Model calls that were answered."""
    tool_calls: int
    """Tool calls that have a result."""
    usage: UsageSummary
    messages: list[JsonObject]
    credits_used: str
    """The exact sum of what the gateway charged, a decimal text."""


@dataclass(frozen=True, slots=True)
class AgentResult:
    """What a run came to."""

    final_text: str
    """The model's last text."""
    messages: list[JsonObject]
    steps: list[AgentStep]
    usage: UsageSummary
    stopped_by: str | None
    """None where the model came to its end; else the reason of the stop condition, `approval`, `invalid_output`, or
    type and code of the gateway's refusal, such as `insufficient_quota:wallet_empty`."""
    status: RunStatus
    run_id: str
    """Names the run to the gateway and to the store."""
    credits_used: str
    """The exact sum of what the gateway charged, sub-agents included, a decimal text."""
    request_ids: list[str]
    """The receipts of the model calls, in order."""
    pending: list[PendingCall]
    """The calls that wait for a decision."""
    state: RunState = field(repr=False)
    """The whole run: see `Agent.resume`."""
    refusal: JoyTokenAPIError | None = None
    """The gateway's answer that ended the run, a 402 or 403."""
    output: Any = None
    """The final answer as a value, where the agent's `output` asked for one."""


@dataclass(frozen=True, slots=True)
class TextEvent:
    """Text of the model, as it comes."""

    type: ClassVar = "text"
    delta: str


@dataclass(frozen=True, slots=True)
class ToolCallEvent:
    """A tool that the model has called, before it is run."""

    type: ClassVar = "tool_call"
    tool_call: JsonObject


@dataclass(frozen=True, slots=True)
class ToolResultEvent:
    """What came of a tool call."""

    type: ClassVar = "tool_result"
    result: ToolResult


@dataclass(frozen=True, slots=True)
class StepEvent:
    """A model call whose tools are all run."""

    type: ClassVar = "step"
    step: AgentStep


@dataclass(frozen=True, slots=True)
class PendingEvent:
    """Tool calls that wait for a decision; the run pauses."""

    type: ClassVar = "pending"
    pending: list[PendingCall]


@dataclass(frozen=True, slots=True)
class DoneEvent:
    """The last event of a run."""

    type: ClassVar = "done"
    result: AgentResult


AgentEvent: TypeAlias = TextEvent | ToolCallEvent | ToolResultEvent | StepEvent | PendingEvent | DoneEvent
"""Something that happens in a run; `type` tells them apart, too."""


def usage_summary(state: RunState) -> UsageSummary:
    usage = state["usage"]
    return UsageSummary(usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"], usage.get("cost"))


def agent_state_of(state: RunState) -> AgentState:
    """Return what a stop condition sees of a run."""
    return AgentState(
        state["step"], state["tool_calls"], usage_summary(state), list(state["messages"]), state["credits_used"]
    )


def tool_result_of(result: ToolResultState) -> ToolResult:
    return ToolResult(result["tool_call_id"], result["tool_name"], result["content"], result["is_error"])


def step_of(step: StepState) -> AgentStep:
    metadata = step.get("metadata")
    return AgentStep(
        index=step["index"],
        assistant_message=step["assistant_message"],
        tool_results=[tool_result_of(result) for result in step["tool_results"]],
        usage=step["usage"],
        request_id=step.get("request_id"),
        metadata=None if metadata is None else CallMetadata.read(metadata),
    )


def result_of(state: RunState, refusal: JoyTokenAPIError | None, output: object) -> AgentResult:
    """Return what a run has come to."""
    return AgentResult(
        final_text=state["final_text"],
        messages=state["messages"],
        steps=[step_of(step) for step in state["steps"]],
        usage=usage_summary(state),
        stopped_by=state["stopped_by"],
        status=state["status"],
        run_id=state["run"]["id"],
        credits_used=state["credits_used"],
        request_ids=[step["request_id"] for step in state["steps"] if "request_id" in step],
        pending=state["pending"],
        state=state,
        refusal=refusal,
        output=output,
    )

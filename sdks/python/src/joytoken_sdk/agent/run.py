"""A run on its way. It reads and changes the state, and nothing else remembers anything."""

from dataclasses import dataclass, field, replace
from typing import Any, cast

from joytoken_sdk.agent.answer import message_of
from joytoken_sdk.agent.conditions import StopCondition, decide
from joytoken_sdk.agent.credits import add_credits
from joytoken_sdk.agent.effect import Ask, Load, Save, Steps, Tell, UseTools
from joytoken_sdk.agent.identity import call_key
from joytoken_sdk.agent.model import ModelRequest, ModelResponse, RunCall
from joytoken_sdk.agent.output import AgentOutputError, Output, read_output, repair_text, response_format_of
from joytoken_sdk.agent.refusal import reason_of, refusal_of
from joytoken_sdk.agent.result import (
    AgentResult,
    DoneEvent,
    PendingEvent,
    StepEvent,
    ToolCallEvent,
    agent_state_of,
    result_of,
    step_of,
)
from joytoken_sdk.agent.state import (
    RunState,
    RunStatus,
    StepState,
    add_usage,
    calls_of,
    is_answered,
    last_text,
    open_calls,
)
from joytoken_sdk.agent.store import AnyRunStore
from joytoken_sdk.agent.tool import Decision, ToolBox
from joytoken_sdk.agent.tool_round import keep_results, plan_round
from joytoken_sdk.errors import InvalidCall, JoyTokenAPIError
from joytoken_sdk.json_value import JsonObject, object_of, text_of, well_formed


@dataclass(frozen=True, slots=True)
class RunParts:
    """What a run is made with."""

    state: RunState
    tools: ToolBox
    store: AnyRunStore | None
    stop_when: list[StopCondition]
    request: ModelRequest
    """What all model calls of the run have in common."""
    tool_choice: str | JsonObject | None
    tool_concurrency: int
    output: Output | None
    decisions: dict[str, Decision] = field(default_factory=dict[str, Decision])


class Run:
    """A run on its way."""

    def __init__(self, parts: RunParts) -> None:
        self._parts = parts
        self._state = parts.state
        self._decisions = parts.decisions
        self._refusal: JoyTokenAPIError | None = None
        self._output: Any = None

    def begin(self) -> Steps[AgentResult]:
        """Save a run for the first time, and go. Raises InvalidCall where the store has one of this id."""
        store, run_id = self._parts.store, self._state["run"]["id"]
        if store is not None and (yield Load(store, run_id)) is not None:
            raise InvalidCall(f"run {run_id!r} is in the store already: resume it, or give the new one another id")
        yield from self._save()
        return (yield from self._loop())

    def resume(self) -> Steps[AgentResult]:
        """Go on where it was; a run that is done gives what it came to."""
        state = self._state
        if state["status"] == "done":
            self._output, problem = read_output(self._parts.output, state["final_text"])
            if problem is not None:
                raise AgentOutputError(state["final_text"], problem)
            return (yield from self._tell_result())
        state.update(status="running", stopped_by=None, pending=[], final_text="")
        return (yield from self._loop())

    def _loop(self) -> Steps[AgentResult]:
        """Take one step after the other.

        Each begins with what the state says, so that it does not matter which process made it.
        """
        while not (yield from self._next()):
            pass
        return (yield from self._tell_result())

    def _tell_result(self) -> Steps[AgentResult]:
        result = result_of(self._state, self._refusal, self._output)
        yield Tell(DoneEvent(result))
        return result

    def _next(self) -> Steps[bool]:
        """Do what comes next; whether the run is over or waits."""
        if open_calls(self._state):
            return (yield from self._use_tools())
        if is_answered(self._state):
            return (yield from self._finish())
        reason = decide(self._parts.stop_when, agent_state_of(self._state))
        if reason is not None:
            return (yield from self._end("stopped", reason))
        return (yield from self._ask())

    def _ask(self) -> Steps[bool]:
        """Make a model call, and keep the answer."""
        try:
            answer: ModelResponse = yield Ask(self._request())
        except Exception as error:
            self._refusal = refusal_of(error)
            if self._refusal is None:
                raise
            return (yield from self._end("stopped", reason_of(self._refusal)))
        step = self._keep(answer)
        calls = calls_of(step["assistant_message"])
        if not calls:
            yield Tell(StepEvent(step_of(step)))
            return (yield from self._finish())
        yield from self._save()
        for call in calls:
            yield Tell(ToolCallEvent(call))
        return False

    def _keep(self, answer: ModelResponse) -> StepState:
        state, message = self._state, well_formed(message_of(answer.message))
        state["step"] += 1
        step = StepState(index=state["step"], assistant_message=message, tool_results=[], usage=answer.usage)
        metadata = answer.metadata
        if metadata is not None:
            step["metadata"] = metadata
            if (request_id := text_of(metadata.get("request_id"))) is not None:
                step["request_id"] = request_id
            billing = object_of(metadata.get("billing")) or {}
            state["credits_used"] = add_credits(state["credits_used"], billing.get("credits_used"))
        state["steps"].append(step)
        state["messages"].append(message)
        add_usage(state["usage"], answer.usage)
        return step

    def _request(self) -> ModelRequest:
        """Return the next model call.

        It follows from the state and the options alone, to the byte, so that the gateway knows a repetition for what
        it is.
        """
        parts, run = self._parts, self._state["run"]
        call = self._state["step"] + 1
        return replace(
            parts.request,
            messages=list(self._state["messages"]),
            tool_choice=_choice_of(parts.tool_choice, call) if parts.tools.declared else None,
            response_format=response_format_of(parts.output),
            run=RunCall(run["id"], call, run.get("parent_id"), run.get("workflow"), run.get("budget")),
            idempotency_key=call_key(run["id"], call),
        )

    def _use_tools(self) -> Steps[bool]:
        """Run the tools of the last answer; whether the run waits for decisions."""
        parts, state = self._parts, self._state
        decisions, self._decisions = self._decisions, {}  # a later call of the same id is decided on anew
        works = plan_round(state, parts.tools, parts.store, decisions)
        try:
            yield UseTools(works, parts.tool_concurrency)
        except BaseException:
            keep_results(state, works)  # what came until then is not done again
            yield from self._save()
            raise
        keep_results(state, works)
        pending = [call for work in works for call in work.waiting]
        if not pending:
            yield from self._save()
            yield Tell(StepEvent(step_of(state["steps"][-1])))
            return False
        state.update(status="pending", pending=pending, stopped_by="approval", final_text=last_text(state))
        yield from self._save()
        yield Tell(PendingEvent(pending))
        return True

    def _finish(self) -> Steps[bool]:
        """Take the last answer for the final one, or ask once more where it is not of the shape asked for."""
        text = last_text(self._state)
        self._output, problem = read_output(self._parts.output, text)
        if problem is None:
            return (yield from self._end("done", None))
        answers = [step for step in self._state["steps"] if not calls_of(step["assistant_message"])]
        if len(answers) > 1:
            yield from self._end("stopped", "invalid_output")
            raise AgentOutputError(text, problem)
        self._state["messages"].append({"role": "user", "content": repair_text(problem)})
        yield from self._save()
        return False

    def _end(self, status: RunStatus, reason: str | None) -> Steps[bool]:
        self._state.update(status=status, stopped_by=reason, pending=[], final_text=last_text(self._state))
        yield from self._save()
        return True

    def _save(self) -> Steps[None]:
        if self._parts.store is not None:
            yield Save(self._parts.store, self._state)


def _choice_of(choice: str | JsonObject | None, call: int) -> str | JsonObject | None:
    """Return a choice; one that forces tools is for the first call: later it would force them again and again."""
    return choice if call == 1 or choice is None or choice == "none" else cast("str", "auto")

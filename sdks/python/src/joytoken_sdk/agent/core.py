"""What both kinds of agents are made of: options, and the runs that follow from them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from joytoken_sdk.agent.conditions import StopCondition, step_count_is
from joytoken_sdk.agent.effect import Load, Steps
from joytoken_sdk.agent.identity import RunOptions, child_run_id, identity_of
from joytoken_sdk.agent.model import ModelRequest
from joytoken_sdk.agent.output import Output, response_format_of
from joytoken_sdk.agent.result import AgentResult
from joytoken_sdk.agent.run import Run, RunParts
from joytoken_sdk.agent.state import RunState, new_run_state, parse_run_state
from joytoken_sdk.agent.store import AnyRunStore
from joytoken_sdk.agent.tool import AgentTool, Decision, Scope, ToolBox, ToolExecutionContext
from joytoken_sdk.agent.tool_round import ChildWaits
from joytoken_sdk.errors import InvalidCall, JoyTokenError
from joytoken_sdk.json_value import JsonObject, well_formed

MAX_STEPS = 8
TOOL_CONCURRENCY = 4


class AgentOptions(TypedDict, total=False):
    """What an agent is made with, beside its model."""

    system: str | None
    """The first message of each run."""
    tools: Sequence[AgentTool]
    """What the model can have called. Of two with one name the last is there."""
    stop_when: Sequence[StopCondition]
    """Asked before each model call, in order, and before the bound of steps."""
    temperature: float | None
    max_tokens: int | None
    """Bounds the output of one model call, in tokens."""
    tier: str | None
    metadata: JsonObject | None
    """Sent with each model call; a run's own goes over it."""
    tool_choice: str | JsonObject | None
    """Sent with the first model call of a run; a choice that forces a tool is `auto` from then on."""
    parallel_tool_calls: bool
    """Whether the tools of one turn run at once: False by default. Results keep the order of the calls."""
    tool_concurrency: int
    """How many run at once then: 4 by default."""
    output: Output | None
    """Asks for a final answer as a value; `result.output` has it."""
    store: AnyRunStore | None
    """Keeps the state of each run, so that another process can resume it."""


class AgentRunOptions(TypedDict, total=False):
    """What a run takes, beside its input."""

    messages: Sequence[JsonObject]
    """The conversation so far, after the system message and before the input."""
    max_steps: int
    """Model calls at most: 8 by default."""
    metadata: JsonObject | None
    run: RunOptions | None


class ResumeOptions(TypedDict, total=False):
    """What a resumed run takes. `metadata` has to be given again: a call that is made again must be the same."""

    decisions: Mapping[str, Decision]
    """By the id of the tool call. Calls without one go on waiting."""
    max_steps: int
    """Model calls of the whole run at most: 8 by default."""
    metadata: JsonObject | None


class AgentCore:
    """An agent without anybody who does what its runs ask for."""

    def __init__(self, options: AgentOptions) -> None:
        unknown = options.keys() - AgentOptions.__annotations__.keys()
        if unknown:
            raise TypeError(f"an agent has no option {min(unknown)!r}")
        response_format_of(options.get("output"))
        self._options = options
        self._tools = ToolBox(list(options.get("tools", ())))

    def begin(self, text: str | None, options: AgentRunOptions, scope: Scope | None = None) -> Steps[AgentResult]:
        """Return a run from its beginning. Raises InvalidCall of a name that no header carries."""
        system = self._options.get("system")
        messages: list[JsonObject] = [{"role": "system", "content": system}] if system else []
        messages += json.loads(json.dumps(list(options.get("messages", ()))))  # as they will be read again
        if text is not None:
            messages.append({"role": "user", "content": text})
        state = new_run_state(identity_of(options.get("run")), well_formed(messages))
        return self._run_of(state, options.get("max_steps"), options.get("metadata"), {}, scope).begin()

    def resume(
        self, run: str | RunState | Mapping[str, Any], options: ResumeOptions, scope: Scope | None = None
    ) -> Steps[AgentResult]:
        """Return the rest of a run, by its id in the store or by its state."""
        if isinstance(run, str):
            store = self._options.get("store")
            if store is None:
                raise InvalidCall(f"run {run!r} cannot be resumed by its id: the agent has no store")
            found: RunState | None = yield Load(store, run)
            if found is None:
                raise InvalidCall(f"run {run!r} is not in the store")
            run = found
        state = parse_run_state(run)
        decisions = dict(options.get("decisions", {}))
        resumed = self._run_of(state, options.get("max_steps"), options.get("metadata"), decisions, scope)
        return (yield from resumed.resume())

    def as_child(self, name: str, text: str, context: ToolExecutionContext) -> Steps[str]:
        """Begin the child run of a tool call, or go on with it where another process began it."""
        scope = context.scope
        if scope is None:
            return (yield from self.begin(text, {})).final_text
        run_id = child_run_id(scope.run["id"], scope.call_id)
        store = self._store_within(scope)
        saved: RunState | None = None if store is None else (yield Load(store, run_id))
        if saved is None:
            run = RunOptions(run_id, scope.run["id"], scope.run.get("workflow"))
            result = yield from self.begin(text, {"run": run}, scope)
        else:
            result = yield from self.resume(saved, {"decisions": scope.decisions}, scope)
        if result.status == "pending":
            if store is not None:
                raise ChildWaits(result.pending)
            waiting = result.pending[0]["tool_name"]
            raise JoyTokenError(f"agent {name}: it waits for an approval of {waiting!r}, which needs a store")
        if not result.final_text and result.stopped_by is not None:
            raise JoyTokenError(f"agent {name}: stopped by {result.stopped_by}")
        return result.final_text

    def _run_of(
        self,
        state: RunState,
        max_steps: int | None,
        metadata: JsonObject | None,
        decisions: dict[str, Decision],
        scope: Scope | None,
    ) -> Run:
        options, store = self._options, self._store_within(scope)
        if scope is not None:
            scope.children.append(state)
        request = ModelRequest(
            messages=[],
            tools=self._tools.declared,
            temperature=options.get("temperature"),
            max_tokens=options.get("max_tokens"),
            tier=options.get("tier"),
            metadata={**(options.get("metadata") or {}), **(metadata or {})} or None,
            durable=store is not None,
        )
        at_once = options.get("tool_concurrency", TOOL_CONCURRENCY) if options.get("parallel_tool_calls") else 1
        parts = RunParts(
            state=state,
            tools=self._tools,
            store=store,
            stop_when=[*options.get("stop_when", ()), step_count_is(MAX_STEPS if max_steps is None else max_steps)],
            request=request,
            tool_choice=options.get("tool_choice"),
            tool_concurrency=at_once,
            output=options.get("output"),
            decisions=decisions,
        )
        return Run(parts)

    def _store_within(self, scope: Scope | None) -> AnyRunStore | None:
        own = self._options.get("store")
        return own if own is not None or scope is None else scope.store


def child_parameters() -> JsonObject:
    """Return the JSON Schema of an agent that is a tool."""
    return {
        "type": "object",
        "properties": {"input": {"type": "string", "description": "The task, in full.", "minLength": 1}},
        "required": ["input"],
    }

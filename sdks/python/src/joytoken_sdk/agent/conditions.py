"""When a run ends before the model does."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from joytoken_sdk.agent.credits import parse_credits
from joytoken_sdk.agent.result import AgentState


@dataclass(frozen=True, slots=True)
class StopDecision:
    """Whether a run ends, and why."""

    stop: bool
    reason: str = ""


StopCondition: TypeAlias = Callable[[AgentState], StopDecision | bool]
"""Decides before each model call whether a run ends; True has the reason `custom`."""


def step_count_is(n: int) -> StopCondition:
    """Stop after n model calls, by the reason `step_count:n`."""
    return lambda state: StopDecision(state.step >= n, f"step_count:{n}")


def max_tool_calls(n: int) -> StopCondition:
    """Stop after n tool calls, by the reason `max_tool_calls:n`. The calls of one turn are all run."""
    return lambda state: StopDecision(state.tool_calls >= n, f"max_tool_calls:{n}")


def max_cost(credits_max: float) -> StopCondition:
    """Stop once the cost that answers told in their usage reaches an amount, by the reason `max_cost:x`."""
    shown = int(credits_max) if float(credits_max).is_integer() else credits_max
    return lambda state: StopDecision((state.usage.cost or 0) >= credits_max, f"max_cost:{shown}")


def max_credits(credits_max: str) -> StopCondition:
    """Stop once the credits that the gateway charged, added exactly, reach an amount such as `"0.5"`.

    The reason is `max_credits:x`. The last call can go beyond it; a bound that cannot be passed is the run's `budget`.
    Raises ValueError where the text is no amount.
    """
    limit = parse_credits(credits_max)
    return lambda state: StopDecision(parse_credits(state.credits_used) >= limit, f"max_credits:{credits_max}")


def decide(conditions: Iterable[StopCondition], state: AgentState) -> str | None:
    """Return the reason of the first condition that stops; None where none does."""
    for condition in conditions:
        decision = condition(state)
        if isinstance(decision, StopDecision):
            if decision.stop:
                return decision.reason or "custom"
        elif decision:
            return "custom"
    return None

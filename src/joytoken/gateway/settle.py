"""Settle: each ending by its rule, priced, and written to the journal before the last byte goes to the caller."""

from joytoken.domain.ending import Ending, UsageSource
from joytoken.domain.usage import Usage
from joytoken.escrow.engine import Escrow
from joytoken.escrow.terms import Closed
from joytoken.gateway.count import Counter
from joytoken.gateway.keyring import Principal
from joytoken.gateway.record import finish_record, refused_record
from joytoken.gateway.sizing import Sizing
from joytoken.gateway.trail import Trail

_FREE: frozenset[Ending] = frozenset(("provider_failed", "empty", "refused", "rejected_upstream"))
INPUT_SLACK_TOKENS = 4096  # what a chat template or a provider's own instructions may add to the bytes that were sent


class Settler:
    """What `settle` leans on."""

    def __init__(self, *, escrow: Escrow, counter: Counter, charge_cut_streams: bool) -> None:
        self._escrow = escrow
        self.counter = counter
        self.sizing = Sizing()
        self._charge_cut_streams = charge_cut_streams

    def counted(self, trail: Trail, output_tokens: int) -> Usage:
        """A usage as the gateway counts it, where the provider reported none."""
        assert trail.content is not None
        tokenizer = trail.choice.model.tokenizer if trail.choice is not None else None
        counted = trail.input_counted
        if counted is None or counted[0] != tokenizer:
            counted = trail.input_counted = (tokenizer, self.counter.count_input(trail.content, tokenizer))
        return Usage(min(counted[1], trail.input_bound), output_tokens)

    def bound(self, trail: Trail, usage: Usage, output_bytes: int) -> Usage:
        """A reported usage, held to what the gateway saw; a figure beyond that is noted on the receipt."""
        chat, choice, call = trail.chat, trail.choice, trail.call
        assert chat is not None
        assert choice is not None
        context = choice.model.context_tokens or 2**31
        inputs, outputs = usage.input_tokens, usage.output_tokens
        if 0 <= inputs <= context and inputs <= len(call.body) and 0 <= outputs <= output_bytes and usage.plain:
            return usage  # the common case: nothing comes near any bound
        output_max = max(trail.output_bound * (chat.n or 1), output_bytes)
        input_max = max(len(call.body) + INPUT_SLACK_TOKENS, trail.input_bound)
        if usage.input_tokens > context:
            input_max = min(input_max, max(context, trail.input_bound))
        bounded = usage.bounded(input_max, output_max)
        if bounded is not usage:
            trail.note(
                f"the provider reported {usage.input_tokens} input and {usage.output_tokens} output tokens;"
                f" bounded to {bounded.input_tokens} and {bounded.output_tokens}"
            )
        return bounded

    def try_settle(self, trail: Trail, ending: Ending, usage: Usage, source: UsageSource) -> int:
        """Close the hold of an answer that came to its end, if it carries the cost; else give what it lacks."""
        hold, choice = trail.hold, trail.choice
        assert hold is not None
        assert choice is not None
        cost = 0 if ending in _FREE else choice.model.price.charge(usage)
        if cost > hold.amount:
            return cost - hold.amount
        self._close(trail, ending, usage, source, cost)
        return 0

    async def cover(self, trail: Trail, missing: int) -> None:
        """Try once to hold so much more."""
        assert trail.hold is not None
        await self._escrow.top_up(trail.hold, missing)

    def settle(self, trail: Trail, ending: Ending, usage: Usage | None, source: UsageSource) -> None:
        """Close the hold by the ending's rule. Never awaits; a second call for the same hold changes nothing."""
        choice = trail.choice
        free = ending in _FREE or (ending in ("provider_cut", "timed_out") and not self._charge_cut_streams)
        cost = 0 if free or usage is None or choice is None else choice.model.price.charge(usage)
        self._close(trail, ending, usage, source, cost)

    async def secure(self) -> None:
        """Wait until what was just settled survives what it is to survive."""
        if self._escrow.secures:
            await self._escrow.secure_settle()

    def file_refusal(self, trail: Trail, principal: Principal) -> None:
        """File a usage record of a refused request, for owners who ask for that: it holds nothing and costs nothing."""
        record = refused_record(trail, principal)
        try:
            hold = self._escrow.try_hold(record, (), 0, 0)
        except Closed:
            return  # the store is away or the gateway stops: a refusal is not worth waiting for either
        if hold is not None:
            self._escrow.settle(hold, record)

    def _close(self, trail: Trail, ending: Ending, usage: Usage | None, source: UsageSource, cost: int) -> None:
        hold, record = trail.hold, trail.record
        assert hold is not None
        assert record is not None
        trail.ending = ending
        trail.usage = usage
        trail.timings.settle = trail.at()
        finish_record(trail, record, usage, source, cost)
        again = hold.outcome is not None
        charged = self._escrow.settle(hold, record).charged
        if charged and not again:
            chat = trail.chat
            bound = chat is not None and (chat.max_tokens is not None or chat.max_completion_tokens is not None)
            (self.sizing.asked if bound else self.sizing.default).observe(hold.amount, charged)

"""Prices, and the exact integer arithmetic of a charge.

A rate is an integer: nanocredits (or nano-dollars) per million tokens, so a price of 75 credits per million tokens is
75 * 10**9. A charge is the exact sum over disjoint buckets, rounded up once to a whole nanocredit.
"""

from functools import cached_property

import msgspec

from joytoken.domain.usage import Usage

MTOK = 1_000_000


class Rates(msgspec.Struct, frozen=True, dict=True):
    """What a million tokens of each bucket cost, in nano-units; None means: as the bucket that includes it."""

    input: int
    output: int
    cache_read: int | None = None
    cache_write: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    reasoning: int | None = None
    request: int = 0  # nano-units for the call itself

    def cost(self, usage: Usage) -> int:
        """The exact cost of a usage in nano-units, rounded up once.

        Pre-condition: the usage is bounded (no negative count, no sub-bucket above its parent).
        """
        total = self.request * MTOK + usage.input_tokens * self.input + usage.output_tokens * self.output
        if not usage.plain:
            for count, rate, included_in in (
                (usage.cached_input_tokens, self.cache_read, self.input),
                (usage.cache_write_tokens, self.cache_write, self.input),
                (usage.audio_input_tokens, self.audio_input, self.input),
                (usage.reasoning_tokens, self.reasoning, self.output),
                (usage.audio_output_tokens, self.audio_output, self.output),
            ):
                if count and rate is not None:
                    total += count * (rate - included_in)
        return -(-total // MTOK)

    def most(self, input_tokens: int, output_tokens: int) -> int:
        """An upper bound in nano-units for a call of at most so many tokens, whatever buckets they fall into."""
        dearest_in, dearest_out, request = self._dearest
        return -(-(request + input_tokens * dearest_in + output_tokens * dearest_out) // MTOK)

    @cached_property
    def _dearest(self) -> tuple[int, int, int]:
        """The rates of the dearest input and output bucket, and a million times what the call itself costs."""
        dearest_in = max(self.input, self.cache_read or 0, self.cache_write or 0, self.audio_input or 0)
        return dearest_in, max(self.output, self.reasoning or 0, self.audio_output or 0), self.request * MTOK

    def affordable_output(self, input_tokens: int, amount: int) -> int:
        """How many output tokens fit into an amount beside so many input tokens; negative where not even those fit."""
        dearest_out = self._dearest[1]
        rest = amount * MTOK - self.most(input_tokens, 0) * MTOK
        if rest < 0:
            return -1
        return rest // dearest_out if dearest_out else 2**53


class Step(msgspec.Struct, frozen=True, gc=False):
    """A long-context step: past `over_tokens` of input, all tokens of the call take these rates."""

    over_tokens: int
    rates: Rates


class Price(msgspec.Struct, frozen=True, gc=False):
    """One row of the price book: what the customer pays in credits, and what the provider costs in US dollars."""

    price_id: str
    credits: Rates
    cost_usd: Rates | None = None
    steps: tuple[Step, ...] = ()
    cost_steps: tuple[Step, ...] = ()

    def charge(self, usage: Usage) -> int:
        """What the customer pays for a usage, in nanocredits."""
        return self.rates_for(usage.input_tokens).cost(usage)

    def provider_cost(self, usage: Usage) -> int | None:
        """What the provider costs, in nano-dollars; None where its price is not known."""
        if self.cost_usd is None:
            return None
        return _stepped(self.cost_usd, self.cost_steps, usage.input_tokens).cost(usage)

    def rates_for(self, input_tokens: int) -> Rates:
        """The customer's rates for a call with so many input tokens."""
        return _stepped(self.credits, self.steps, input_tokens)

    def hold_amount(self, input_tokens: int, output_tokens: int) -> int:
        """The least amount that can carry every call of at most so many tokens, in nanocredits."""
        if not self.steps:
            return self.credits.most(input_tokens, output_tokens)
        amounts = [self.credits.most(input_tokens, output_tokens)]
        amounts += [s.rates.most(input_tokens, output_tokens) for s in self.steps if input_tokens > s.over_tokens]
        return max(amounts)

    @property
    def free(self) -> bool:
        """Whether every rate is zero."""
        return self.credits.most(MTOK, MTOK) == 0 and not self.steps


def _stepped(rates: Rates, steps: tuple[Step, ...], input_tokens: int) -> Rates:
    for step in steps:  # ascending by over_tokens
        if input_tokens > step.over_tokens:
            rates = step.rates
    return rates

"""Freeze: hold what the request can cost at most, before a provider is called.

The amount is an upper bound: the input's tokens and the output bound at the price of the plan's dearest choice. The
output bound is written into the provider's request (`invoke.py`), so that the provider cannot exceed it.
"""

from collections.abc import Callable

import msgspec

from joytoken.domain.catalog import Catalog
from joytoken.domain.errors import GatewayError, InsufficientQuota
from joytoken.domain.ids import billing_id
from joytoken.domain.ledger import Want, account_kind
from joytoken.domain.money import short_amount
from joytoken.domain.record import UsageRecord
from joytoken.domain.route import Needs, Plan
from joytoken.domain.tier import Tier
from joytoken.escrow.engine import Escrow
from joytoken.escrow.terms import Closed, Hold, Short
from joytoken.gateway.admit import AUTO, quota_used_up, store_away
from joytoken.gateway.budgets import budget_refusal, wants_of
from joytoken.gateway.call import Chat, Content
from joytoken.gateway.count import Counter
from joytoken.gateway.keyring import Principal
from joytoken.gateway.trail import Trail
from joytoken.gateway.windows import Windows
from joytoken.routing.plan import Router


class HoldRules(msgspec.Struct, frozen=True):
    """The settings that size a hold. Amounts in nanocredits, bounds in tokens."""

    default_output_tokens: int = 1024
    output_tokens_max: int = 131_072
    default_hold: int = 10**9
    hold_least: int = 1000


class Freezer:
    """What `freeze` leans on."""

    def __init__(
        self,
        *,
        router: Router,
        escrow: Escrow,
        counter: Counter,
        windows: Windows,
        rules: HoldRules,
        catalog: Callable[[], Catalog],
    ) -> None:
        self._router = router
        self._escrow = escrow
        self._counter = counter
        self._windows = windows
        self._rules = rules
        self._catalog = catalog

    def try_freeze(self, principal: Principal, trail: Trail) -> Hold | None:
        """Hold the amount by the leases at hand: the common case, without waiting. None where that cannot be.

        The provider is called right after it, before anything else can run: the journal's HOLD says so already.
        """
        plan = trail.plan
        if plan is None:
            return None
        try:
            return self._escrow.try_hold(*self._ask(principal, plan, trail), called=True)
        except Closed:
            return None

    async def freeze(self, principal: Principal, needs: Needs, plan: Plan, trail: Trail) -> Hold:
        """Hold the amount on the plan's wallet and the key's quotas.

        Where the wallet cannot carry a request for `auto`, the other tiers that the key allows are asked in the
        documented order. Raises InsufficientQuota (402) where none can, and Unavailable (503) where the store is away.
        """
        excluded: tuple[Tier, ...] = ()
        first_short: InsufficientQuota | None = None
        while True:
            try:
                return await self._hold(principal, plan, trail)
            except Short as short:
                refusal = self._refusal(principal, short, trail)
                if account_kind(short.account) != "wallet" or needs.model not in ("", AUTO):
                    raise refusal from None
                first_short = first_short or refusal
            except Closed as closed:
                raise store_away(closed) from None
            excluded += (plan.tier,)
            trail.tier_fallbacks += (plan.tier,)
            try:
                plan = self._router.plan(
                    principal.policy, needs, exclude_tiers=excluded, input_tokens=trail.input_bound
                )
            except GatewayError:
                raise first_short from None
            trail.plan = plan

    def _ask(self, principal: Principal, plan: Plan, trail: Trail) -> tuple[UsageRecord, tuple[Want, ...], int, int]:
        """What to ask of the escrow: the record, the accounts, the amount, and what the input alone costs at most."""
        chat, content = trail.chat, trail.content
        assert chat is not None
        assert content is not None
        self._bound(principal, plan, chat, content, trail)
        amount = self._amount(plan, trail.input_bound, trail.output_bound * (chat.n or 1))
        wants = (principal.wallets[plan.tier], *principal.quotas(trail.call.started_us))
        if principal.budgets is not None or trail.run is not None:
            wants += wants_of(principal.budgets, trail.call.started_us, chat.user or "", trail.run)
        input_cost = min(amount, plan.choices[0].model.price.hold_amount(trail.input_bound, 0))
        return self._draft(principal, plan, trail), wants, amount, input_cost

    async def _hold(self, principal: Principal, plan: Plan, trail: Trail) -> Hold:
        record, wants, amount, input_cost = self._ask(principal, plan, trail)
        try:
            return await self._escrow.hold(record, wants, amount, input_cost)
        except Short as short:
            if not principal.policy.clamp_output:
                raise
            return await self._hold_less(plan, trail, record, wants, input_cost, short)

    async def _hold_less(
        self, plan: Plan, trail: Trail, record: UsageRecord, wants: tuple[Want, ...], input_cost: int, short: Short
    ) -> Hold:
        """Lower the output bound to what is affordable, where the key allows that."""
        choices = (trail.chat.n if trail.chat is not None else None) or 1
        for _ in wants:  # each account may have less than the one before
            fits = [c.model.price.credits.affordable_output(trail.input_bound, short.available) for c in plan.choices]
            output = min(min(fits) // choices, trail.output_bound)
            amount = self._amount(plan, trail.input_bound, output * choices) if output > 0 else 0
            if not 0 < amount <= short.available:
                raise short
            try:
                hold = await self._escrow.hold(record, wants, amount, min(amount, input_cost))
            except Short as less:
                short = less
                continue
            trail.output_bound = output
            trail.clamped = True
            trail.note(f"output bound lowered to {output} tokens: the wallet or limit could carry no more")
            return hold
        raise short

    def _bound(self, principal: Principal, plan: Plan, chat: Chat, content: Content, trail: Trail) -> None:
        rules, most = self._rules, principal.policy.output_tokens_max
        bound = min(chat.output_asked or rules.default_output_tokens, rules.output_tokens_max, plan.output_tokens_max)
        trail.output_bound = bound if most is None or bound < most else most
        tools = sum([len(tool) for tool in chat.tools]) if chat.tools else 0
        if chat.functions or chat.response_format is not None:
            tools = len(trail.call.body)
        # A fallback may be another model, whose tokens are not counted as the first one's.
        body_bytes, bound = len(trail.call.body), 0
        for tokenizer in plan.tokenizers:
            bound = max(bound, self._counter.input_bound(content, body_bytes, tokenizer, tools))
        trail.input_bound = bound

    def _amount(self, plan: Plan, input_tokens: int, output_tokens: int) -> int:
        amount = 0
        for price in plan.prices:
            amount = max(amount, price.hold_amount(input_tokens, output_tokens))
        return max(amount, self._rules.hold_least) if amount > 0 else self._rules.default_hold

    def _draft(self, principal: Principal, plan: Plan, trail: Trail) -> UsageRecord:
        """The usage record as far as it is known before the call: what recovery would file if this process died."""
        key, call, choice = principal.key, trail.call, plan.choices[0]
        chat = trail.chat
        assert chat is not None
        labels = key.labels
        record = UsageRecord(
            trail.request_id,
            billing_id(trail.request_id),
            trail.correlation_id,
            call.started_us,
            0,
            key.organisation,
            key.owner_id,
            key.key_id,
            labels.project,
            labels.application,
            labels.environment,
            labels.task,
            (chat.user or "")[:256],
            "",
            call.endpoint,
            bool(chat.stream),
            chat.model or "",
            choice.model.name,
            choice.deployment.deployment_id,
            choice.provider.name,
            "",
            plan.tier,
        )
        record.price_id = choice.model.price.price_id
        record.usd_per_credit = self._catalog().usd_per_credit.get(plan.tier, 0)
        record.tags = _tags(chat.metadata)
        if trail.run is not None:
            record.run_id, record.parent_run_id = trail.run.run_id, trail.run.parent
            record.detail = trail.placed_detail()
        trail.record = record
        return record

    def _refusal(self, principal: Principal, short: Short, trail: Trail) -> InsufficientQuota:
        required, available = short_amount(short.required), short_amount(short.available)
        details: dict[str, str | int] = {"required": required, "available": available, "account": short.account}
        if account_kind(short.account) == "quota":
            refusal = quota_used_up(short.account, self._windows, trail.call.started_us)
            refusal.message += f" (this request needs up to {required} credits; {available} are left)"
            refusal.details = details
            return refusal
        if account_kind(short.account) == "budget":
            full = self._escrow.full(short.account)
            return budget_refusal(
                principal.budgets, short.account, trail.call.started_us, required, available, full=full
            )
        tier = short.account.rpartition(":")[2]
        message = (
            f"the {tier} wallet cannot carry this request: it needs up to {required} credits and {available} are free;"
            " top it up, or ask for a lower `max_tokens`"
        )
        return InsufficientQuota(message, "wallet_empty", details=details)


_TAGS_MAX = 16
_TAG_CHARS_MAX = 512
_encode = msgspec.json.Encoder(order="deterministic").encode


def _tags(metadata: object) -> str:
    """The caller's own `metadata` as attribution tags: at most 16 strings of at most 512 characters."""
    if not isinstance(metadata, dict) or not metadata:
        return ""
    kept = {str(k)[:64]: str(v)[:_TAG_CHARS_MAX] for k, v in list(metadata.items())[:_TAGS_MAX]}
    return _encode(kept).decode()

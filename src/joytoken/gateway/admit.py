"""May they: the checks of a request against its key, in the order that callers rely on.

address → tier → fixed model, deny and allow lists → rates → daily and weekly quota → wallets
"""

import ipaddress
from collections.abc import Sequence

from joytoken.domain.errors import InsufficientQuota, PolicyRejected, Unavailable
from joytoken.domain.route import Needs
from joytoken.domain.tier import TIERS, Tier, parse_tier
from joytoken.escrow.engine import Escrow
from joytoken.escrow.terms import Closed
from joytoken.gateway.budgets import budget_refusal, wants_of
from joytoken.gateway.call import Call, Chat, Content
from joytoken.gateway.keyring import Network, Principal
from joytoken.gateway.route import look
from joytoken.gateway.runs import Runs
from joytoken.gateway.trail import Trail
from joytoken.gateway.windows import Windows
from joytoken.routing.plan import Router

AUTO = "auto"


class Admission:
    """What `admit` leans on."""

    def __init__(
        self,
        *,
        router: Router,
        escrow: Escrow,
        windows: Windows,
        runs: Runs,
        trusted_proxies: Sequence[str],
        default_output_tokens: int,
    ) -> None:
        self._router = router
        self._escrow = escrow
        self._windows = windows
        self._runs = runs
        self._trusted = tuple(ipaddress.ip_network(cidr, strict=False) for cidr in trusted_proxies)
        self._default_output_tokens = default_output_tokens

    def admit(self, principal: Principal, chat: Chat, content: Content, trail: Trail) -> Needs:
        """Check what needs no store; gives what the request asks of a model. Counts it into the key's rates."""
        self.permit(principal, trail.call)
        needs = needs_of(chat, content, _tier_of(chat, principal))
        look(self._router, principal, needs, trail)
        output = chat.output_asked or self._default_output_tokens
        estimate = len(trail.call.body) // 4 + output * (chat.n or 1)
        trail.reserved_tokens = principal.limiter.enter(trail.call.started, estimate)
        trail.entered = True
        return needs

    async def place_run(self, principal: Principal, headers: dict[str, bytes], trail: Trail) -> None:
        """Find out to which run a request belongs, under which others it runs, and which step of it this is."""
        trail.step = self._runs.step_of(headers)
        trail.run = await self._runs.place(principal, headers, trail.call.started_us)

    async def check_money(self, principal: Principal, needs: Needs, trail: Trail) -> None:
        """Refuse where a quota is used up, or no wallet that the key may use has anything left."""
        try:
            await self._check_money(principal, needs, trail)
        except Closed as closed:
            raise store_away(closed) from None

    async def _check_money(self, principal: Principal, needs: Needs, trail: Trail) -> None:
        quotas = principal.quotas(trail.call.started_us)
        if quotas:
            empty = await self._escrow.ready(quotas)
            if empty is not None:
                raise quota_used_up(empty, self._windows, trail.call.started_us)
        if principal.budgets is not None or trail.run is not None:
            await self._check_budgets(principal, trail)
        # A model's own tier pays for it; `auto` may be served from any wallet that the key may use.
        tiers = principal.tiers if trail.plan is None or _is_auto(needs.model) else (trail.plan.tier,)
        for tier in tiers:
            if await self._escrow.ready((principal.wallets[tier],)) is None:
                return
        raise InsufficientQuota(f"no credits left in {_wallets(tiers)}; top up and try again", "wallet_empty")

    async def _check_budgets(self, principal: Principal, trail: Trail) -> None:
        user = trail.chat.user if trail.chat is not None else None
        wants = wants_of(principal.budgets, trail.call.started_us, user or "", trail.run)
        empty = await self._escrow.ready(wants) if wants else None
        if empty is not None:
            full = self._escrow.full(empty)
            raise budget_refusal(principal.budgets, empty, trail.call.started_us, full=full)

    def permit(self, principal: Principal, call: Call) -> None:
        """Refuse a key that is blocked, or that may not be used from the caller's address. Raises PolicyRejected."""
        if principal.policy.blocked:
            raise PolicyRejected("this key is blocked by its policy", "policy_blocked")
        if principal.ip_allow or principal.ip_block:
            self._check_address(principal, call)

    def _check_address(self, principal: Principal, call: Call) -> None:
        address = client_address(call, self._trusted)
        if address is None:
            raise PolicyRejected("the client's address is not known, and this key is bound to some", "ip_not_allowed")
        if any(address in network for network in principal.ip_block):
            raise PolicyRejected(f"the address {address} is blocked for this key", "ip_blocked")
        if principal.ip_allow and not any(address in network for network in principal.ip_allow):
            raise PolicyRejected(f"the address {address} is not allowed for this key", "ip_not_allowed")


def store_away(closed: Closed) -> Unavailable:
    """The refusal while no hold can be made: the store is away, or the gateway is stopping."""
    return Unavailable(f"no credits can be frozen now: {closed}", "store_away", retry_after_s=closed.retry_after_s)


def _is_auto(model: str) -> bool:
    return model in ("", AUTO)


def _wallets(tiers: Sequence[Tier]) -> str:
    return "the " + ", ".join(tiers) + (" wallet" if len(tiers) == 1 else " wallets")


def quota_used_up(account: str, windows: Windows, now_us: int) -> InsufficientQuota:
    """The refusal for a quota account with nothing left. It can be asked again when the next window begins."""
    daily = ":D:" in account
    window, code = ("daily", "daily_limit") if daily else ("weekly", "weekly_limit")
    message = f"this key's {window} credit limit is used up; it begins anew with the next {'day' if daily else 'week'}"
    return InsufficientQuota(message, code, retry_after_s=windows.seconds_left(now_us, weekly=not daily))


def _tier_of(chat: Chat, principal: Principal) -> Tier | None:
    if chat.tier is None:
        return None
    tier = parse_tier(chat.tier)
    if tier is None:
        message = f"requested tier {chat.tier[:40]!r} does not exist; use one of {', '.join(TIERS)}"
        raise PolicyRejected(message, "tier_unknown", param="tier")
    if tier not in principal.tiers:
        raise PolicyRejected("requested tier is not allowed", "tier_not_allowed", param="tier")
    return tier


def needs_of(chat: Chat, content: Content, tier: Tier | None) -> Needs:
    """What a chat completion asks of a model."""
    response_format = chat.response_format
    return Needs(
        model=chat.model or "",
        tier=tier,
        tools=bool(chat.tools or chat.functions),
        vision=content.images > 0,
        audio=content.audios > 0,
        json_schema=response_format is not None and response_format.type == "json_schema",
    )


def client_address(call: Call, trusted: Sequence[Network]) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The caller's address: forwarded headers are believed only from a trusted proxy, the nearest hop first."""
    peer = _address(call.peer_ip)
    if peer is None or not any(peer in network for network in trusted):
        return peer
    if call.forwarded_for is not None:
        address = None
        for hop in reversed(call.forwarded_for.decode("latin-1").split(",")):
            address = _address(hop.strip())
            if address is None:
                return None  # not an address: nothing before it can be believed
            if not any(address in network for network in trusted):
                break
        return address
    if call.real_ip is not None:
        return _address(call.real_ip.decode("latin-1").strip())
    return peer


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if address.version == 6 else None
    return mapped if mapped is not None else address

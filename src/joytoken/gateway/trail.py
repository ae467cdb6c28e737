"""The trail of one request: what each step found, from which its receipt and its usage record are made."""

from time import monotonic

import msgspec

from joytoken.domain.ending import Ending
from joytoken.domain.errors import GatewayError
from joytoken.domain.record import Attempt, Detail, Timings, UsageRecord
from joytoken.domain.route import Choice, Plan
from joytoken.domain.usage import Usage
from joytoken.escrow.terms import Hold
from joytoken.gateway.call import Call, Chat, Content
from joytoken.gateway.keyring import Principal

_encode = msgspec.json.Encoder().encode
_SECOND_US = 1_000_000


class Trail:
    """Everything that is known of a request so far. Later steps read what earlier ones wrote."""

    __slots__ = (
        "attempts",
        "call",
        "chat",
        "choice",
        "clamped",
        "content",
        "correlation_id",
        "detail_notes",
        "entered",
        "ending",
        "error",
        "failover",
        "hold",
        "input_bound",
        "output_bound",
        "plan",
        "principal",
        "record",
        "request_id",
        "reserved_tokens",
        "tier_fallbacks",
        "timings",
        "unroutable",
        "unsent",
        "usage",
    )

    def __init__(self, call: Call, request_id: str) -> None:
        self.call = call
        self.request_id = request_id
        self.correlation_id = ""
        self.principal: Principal | None = None
        self.chat: Chat | None = None
        self.content: Content | None = None
        self.plan: Plan | None = None
        self.choice: Choice | None = None
        self.hold: Hold | None = None
        self.record: UsageRecord | None = None
        self.usage: Usage | None = None
        self.ending: Ending = "refused"
        self.error: GatewayError | None = None
        self.attempts: list[Attempt] = []
        self.timings = Timings()
        self.tier_fallbacks: list[str] = []
        self.detail_notes: list[str] = []
        self.input_bound = 0
        self.output_bound = 0
        self.entered = False  # counted into the key's rates
        self.reserved_tokens = 0
        self.clamped = False
        self.failover = False
        self.unroutable: GatewayError | None = None
        self.unsent = False  # the caller left before the provider was sent anything

    def at(self) -> int:
        """Microseconds since the request began."""
        return int((monotonic() - self.call.started) * _SECOND_US)

    def note(self, text: str) -> None:
        """Put something that a payer should know onto the receipt."""
        self.detail_notes.append(text)

    def detail(self) -> bytes:
        """The receipt's details as the JSON document that is stored with the usage record."""
        plan, chat, hold = self.plan, self.chat, self.hold
        return _encode(
            Detail(
                rule=plan.rule if plan is not None else "",
                requested_tier=(chat.tier or "") if chat is not None else "",
                candidates=msgspec.Raw(plan.candidates_json if plan is not None else b"[]"),
                tier_fallbacks=self.tier_fallbacks,
                attempts=self.attempts,
                timings=self.timings,
                hold_accounts=hold.accounts if hold is not None else (),
                input_bound=self.input_bound,
                output_bound=self.output_bound,
                clamped=self.clamped,
                notes=self.detail_notes,
            )
        )

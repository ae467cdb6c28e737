"""The trail of one request: what each step found, from which its receipt and its usage record are made."""

from time import monotonic

import msgspec

from joytoken.domain.catalog import Tokenizer
from joytoken.domain.ending import Ending
from joytoken.domain.errors import GatewayError
from joytoken.domain.record import Attempt, Detail, Timings, UsageRecord
from joytoken.domain.route import Choice, Plan
from joytoken.domain.usage import Usage
from joytoken.escrow.terms import Hold
from joytoken.gateway.call import Call, Chat, Content
from joytoken.gateway.keyring import Principal
from joytoken.gateway.lineage import Placed

_encode = msgspec.json.Encoder().encode
_SECOND_US = 1_000_000


class Trail:
    """Everything that is known of a request so far. Later steps read what earlier ones wrote."""

    # What most requests leave as it is stands on the class.
    correlation_id: str = ""
    principal: Principal | None = None
    chat: Chat | None = None
    content: Content | None = None
    plan: Plan | None = None
    choice: Choice | None = None
    hold: Hold | None = None
    record: UsageRecord | None = None
    run: Placed | None = None
    step: str = ""  # of its run
    usage: Usage | None = None
    ending: Ending = "refused"
    error: GatewayError | None = None
    tier_fallbacks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    input_bound: int = 0
    input_counted: tuple[Tokenizer | None, int] | None = None  # the input's tokens as a tokenizer counts them
    output_bound: int = 0
    entered: bool = False  # counted into the key's rates
    reserved_tokens: int = 0
    clamped: bool = False
    failover: bool = False
    unroutable: GatewayError | None = None
    unsent: bool = False  # the caller left before the provider was sent anything

    def __init__(self, call: Call, request_id: str) -> None:
        self.call = call
        self.request_id = request_id
        self.attempts: list[Attempt] = []
        self.timings = Timings()

    def at(self) -> int:
        """Microseconds since the request began."""
        return int((monotonic() - self.call.started) * _SECOND_US)

    def note(self, text: str) -> None:
        """Put something that a payer should know onto the receipt."""
        self.notes += (text,)

    def placed_detail(self) -> bytes:
        """Of which workflow and step a run's request is: so much of its details is known where this process dies."""
        workflow = self.run.workflow if self.run is not None else ""
        return _encode(Detail(workflow=workflow, step=self.step)) if workflow or self.step else b""

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
                notes=self.notes,
                workflow=self.run.workflow if self.run is not None else "",
                step=self.step,
            )
        )

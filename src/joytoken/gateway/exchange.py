"""The life of one request. Everything else in the house exists to serve this file.

    authenticate → admit → route → freeze → invoke → relay → settle → record

Each verb takes what the last one gave and writes what it found onto the trail. Whatever happens on the way (a refusal,
a provider that fails, a caller who hangs up, a defect), the request ends with one name, and a hold that was made is
closed before this coroutine returns.
"""

import asyncio
import logging
from collections.abc import Coroutine

from joytoken.domain.ending import Ending
from joytoken.domain.errors import GatewayError, InternalError
from joytoken.gateway.admit import Admission
from joytoken.gateway.authenticate import authenticate
from joytoken.gateway.call import content_of, encode, read_chat
from joytoken.gateway.caller import Caller
from joytoken.gateway.freeze import Freezer
from joytoken.gateway.idempotency import Idempotency
from joytoken.gateway.invoke import Invoker, Served
from joytoken.gateway.keyring import Keyring, Principal
from joytoken.gateway.relay import Relay, error_object, ids_head
from joytoken.gateway.route import route
from joytoken.gateway.settle import Settler
from joytoken.gateway.trail import Trail

_log = logging.getLogger(__name__)
_JSON = b"content-type: application/json\r\n"


class Exchange:
    """One worker's data plane: serves every request, and knows nothing of sockets, SQL or HTML."""

    def __init__(
        self,
        *,
        keyring: Keyring,
        admission: Admission,
        freezer: Freezer,
        invoker: Invoker,
        relay: Relay,
        settler: Settler,
        idempotency: Idempotency,
        record_refusals: bool,
        json_depth_max: int,
        messages_max: int,
    ) -> None:
        self.keyring = keyring
        self._admission = admission
        self._freezer = freezer
        self._invoker = invoker
        self._relay = relay
        self._settler = settler
        self._idempotency = idempotency
        self._record_refusals = record_refusals
        self._json_depth_max = json_depth_max
        self._messages_max = messages_max

    def authenticate(self, trail: Trail) -> Principal:
        """Who calls; the door asks this before it takes a body."""
        principal = trail.principal = authenticate(trail.call, self.keyring)
        trail.timings.authenticate = trail.at()
        return principal

    def serve(self, principal: Principal, trail: Trail, caller: Caller) -> Coroutine[None, None, None]:
        """Serve one chat completion whose caller is known and whose body has arrived."""
        if trail.call.idempotency_key is None:
            return self._serve(principal, trail, caller)
        return self._serve_once(principal, trail, caller)

    async def _serve_once(self, principal: Principal, trail: Trail, caller: Caller) -> None:
        """Serve a request that bears an idempotency key: from its first answer, where there is one."""
        try:
            recorder = await self._idempotency.begin(principal, trail, caller)
        except GatewayError as error:
            self._fail(error, trail, caller)
            return
        if recorder is None:
            return
        try:
            await self._serve(principal, trail, recorder)
        finally:
            await self._idempotency.end(principal, trail, recorder)

    async def _serve(self, principal: Principal, trail: Trail, caller: Caller) -> None:
        served: Served | None = None
        timings = trail.timings
        try:
            chat = read_chat(trail.call.body, json_depth_max=self._json_depth_max, messages_max=self._messages_max)
            content = content_of(chat)
            trail.chat, trail.content = chat, content
            needs = self._admission.admit(principal, chat, content, trail)
            if trail.call.run is not None:
                await self._admission.place_run(principal, trail.call.run, trail)
            trail.hold = self._freezer.try_freeze(principal, trail)
            if trail.hold is None:  # not by the leases at hand: ask what is left, and wait for it
                timings.admit = timings.route = trail.at()
                await self._admission.check_money(principal, needs, trail)
                trail.hold = await self._freezer.freeze(principal, needs, route(trail), trail)
            timings.freeze = trail.at()
            served = await self._invoker.invoke(route(trail), chat, trail)
            timings.invoke = served.first_byte_us
            if served.meter is None:
                await self._relay.whole(served, trail, caller)
            else:
                await self._relay.stream(served, served.meter, trail, caller)
        except GatewayError as error:
            await self._release(error, trail)
            self._fail(error, trail, caller)
        except asyncio.CancelledError:
            self._gone(served, trail)
            raise
        except Exception as error:  # noqa: BLE001 - a defect must still end the request and close its hold
            _log.exception("request %s failed", trail.request_id, exc_info=error)
            defect = InternalError("the gateway failed on this request; its id is in `request_id`")
            await self._release(defect, trail)
            self._fail(defect, trail, caller)
        finally:
            if served is not None:
                if served.meter is not None and served.meter.done:
                    served.answer.end()
                else:
                    served.answer.close()
            self._leave(trail)

    def fail(self, error: GatewayError, trail: Trail, caller: Caller) -> None:
        """Answer with an error before a request could be served."""
        self._fail(error, trail, caller)

    async def _release(self, error: GatewayError, trail: Trail) -> None:
        """Close the hold of a request that failed. Who is told so is not charged after a power cut either."""
        if trail.hold is None or not trail.hold.open:
            return
        trail.error = error
        ending: Ending = "rejected_upstream" if error.blame == "client" else "provider_failed"
        self._settler.settle(trail, ending, None, "none")
        if trail.attempts:  # else the disk did not take the hold, and no provider was called
            await self._settler.secure()

    def _fail(self, error: GatewayError, trail: Trail, caller: Caller) -> None:
        trail.error = error
        if self._record_refusals and trail.hold is None and trail.principal is not None:
            self._settler.file_refusal(trail, trail.principal)
        head = _JSON + ids_head(trail)
        if error.retry_after_s is not None:
            head += b"retry-after: %d\r\n" % error.retry_after_s
        caller.fail(error.http_status, head, encode({"error": error_object(error, trail.request_id)}))

    def _gone(self, served: Served | None, trail: Trail) -> None:
        """The caller hung up: bill what was received, and nothing where no provider was called."""
        if trail.hold is None or not trail.hold.open:
            return
        if not trail.attempts or trail.unsent:
            self._settler.settle(trail, "client_gone", None, "none")
            return
        usage, source = self._relay.received(served, trail)
        self._settler.settle(trail, "client_gone", usage, source)

    def _leave(self, trail: Trail) -> None:
        if trail.entered and trail.principal is not None:
            usage = trail.usage
            used = usage.input_tokens + usage.output_tokens if usage is not None else 0
            trail.principal.limiter.leave(trail.reserved_tokens, used)

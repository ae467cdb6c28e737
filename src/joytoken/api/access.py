"""Who calls an endpoint of the ASGI application, by the same rules as the hot route."""

from collections.abc import Callable
from time import monotonic, time_ns

from starlette.types import Scope

from joytoken.api.head import HeadError, HeadLimits, read_head
from joytoken.domain.errors import InvalidRequest
from joytoken.gateway.authenticate import authenticate
from joytoken.gateway.call import Call
from joytoken.gateway.keyring import Keyring, Principal

Permit = Callable[[Principal, Call], None]


class Access:
    """The check in front of every endpoint that needs a key.

    `permit` raises PolicyRejected where the key may not be used at all: blocked, or from a foreign address.
    """

    def __init__(self, keyring: Keyring, permit: Permit, limits: HeadLimits) -> None:
        self._keyring = keyring
        self._permit = permit
        self._limits = limits

    def principal(self, scope: Scope) -> Principal:
        """The principal of a request. Raises MissingKey, InvalidKey or PolicyRejected; InvalidRequest for two keys."""
        call = self._call_of(scope)
        principal = authenticate(call, self._keyring)
        self._permit(principal, call)
        return principal

    def _call_of(self, scope: Scope) -> Call:
        client = scope.get("client")
        call = Call(monotonic(), time_ns() // 1000, client[0] if client else "")
        try:
            read_head(scope["headers"], call)
        except HeadError as error:
            raise InvalidRequest(error.message, error.code, status=error.status) from None
        return call

"""Connections to addresses that were checked: the one that is checked is the one that is connected to."""

import contextlib
import http.client
import socket
import ssl
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass, field

from joytoken_sdk.toolkit.address import Address, Network, is_public, plain_address


class AddressRefused(ValueError):
    """An address that must not be reached."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment by which all has to be done."""

    limit_s: float
    end: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "end", time.monotonic() + self.limit_s)

    def left_s(self) -> float:
        """Return the seconds that are left. Raises TimeoutError where none are."""
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"it took more than {self.limit_s:g} s")
        return left


@dataclass(frozen=True, slots=True)
class AddressRule:
    """Public addresses, and those of the networks that are allowed beside them."""

    allowed_networks: tuple[Network, ...] = ()

    def check(self, address: Address) -> None:
        """Raise AddressRefused where an address must not be reached."""
        allowed = any(address in network for network in self.allowed_networks if network.version == address.version)
        if not allowed and not is_public(address):
            raise AddressRefused(f"the address {address} is not public")


def connect(host: str, port: int, rule: AddressRule, deadline: Deadline) -> socket.socket:
    """Look a name up, and connect to the first of its addresses that answers; any that is refused refuses the name."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for *_, target in found:
        rule.check(plain_address(str(target[0])))
    failure: OSError = OSError("the name has no address")
    for family, kind, protocol, _, target in found:
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(deadline.left_s())
            connection.connect(target)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure


class CheckedConnection(http.client.HTTPConnection):
    """A connection of HTTP whose socket comes from `connect`, and which is cut at its deadline."""

    def __init__(self, host: str, port: int, rule: AddressRule, deadline: Deadline, *, tls: bool) -> None:
        super().__init__(host, port)
        self._rule = rule
        self._deadline = deadline
        self._tls = tls
        self._cut = contextlib.ExitStack()

    def connect(self) -> None:
        opened = connect(self.host, self.port, self._rule, self._deadline)
        try:
            opened.settimeout(None)
            self._cut.enter_context(_cut_at(self._deadline, opened))
            if self._tls:
                opened = ssl.create_default_context().wrap_socket(opened, server_hostname=self.host)
        except BaseException:
            opened.close()
            raise
        self.sock = opened

    def close(self) -> None:
        self._cut.close()
        super().close()


@contextlib.contextmanager
def _cut_at(deadline: Deadline, opened: socket.socket) -> Generator[None, None, None]:
    """Shut a connection at a moment: a server that sends a byte now and then would outlast each bound of a read."""
    done, left_s = threading.Event(), deadline.left_s()
    other_hand = opened.dup()  # the same connection, also once TLS has taken over the first

    def cut() -> None:
        if not done.wait(left_s):
            with contextlib.suppress(OSError):
                other_hand.shutdown(socket.SHUT_RDWR)

    thread = threading.Thread(target=cut, daemon=True)
    try:
        thread.start()
        yield
    finally:
        done.set()
        thread.join()
        other_hand.close()

"""The addresses behind a host's name, and the networks that they are in.

A name is looked up once, and the connection goes to an address that was looked at: no second look-up comes between.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable, Sequence

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def networks_of(cidrs: Iterable[str]) -> tuple[Network, ...]:
    """Networks as settings spell them. Raises ValueError."""
    return tuple(ipaddress.ip_network(cidr, strict=False) for cidr in cidrs)


def inner(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for (mapped, 6to4, NAT64), or the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or address


def within(address: Address, networks: Sequence[Network]) -> bool:
    """Whether an address, or the one that it stands for, is in one of these networks."""
    return any(one in network for one in {address, inner(address)} for network in networks)


def literal(host: str) -> Address | None:
    """The address that a host is written as; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


async def look_up(host: str, port: int) -> list[Address]:
    """Every address of a host, at least one. Raises OSError, and UnicodeError for what cannot be a name."""
    address = literal(host)
    if address is not None:
        return [address]
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    if not addresses:
        raise OSError(f"{host} has no address")
    return list(dict.fromkeys(addresses))

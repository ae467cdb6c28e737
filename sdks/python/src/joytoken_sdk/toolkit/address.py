"""Which addresses lead to the public internet and nowhere else."""

import ipaddress
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# Networks within the public ranges that lead to something else, by the registries of special-purpose addresses (RFC
# 6890 and its successors), and what cloud providers put into public ones. The list is this package's own: what the
# standard library calls global differs between its versions.
_SPECIAL: tuple[Network, ...] = tuple(
    map(
        ipaddress.ip_network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
            *("192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24"),
            *("192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
            *("224.0.0.0/4", "240.0.0.0/4"),
            "168.63.129.16/32",  # the host of a virtual machine, in one of the clouds
            *("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
        ),
    )
)
# All that is given out of IPv6. NAT64, mapped, local and multicast addresses are outside of it.
_PUBLIC_IPV6 = ipaddress.ip_network("2000::/3")


def plain_address(text: str) -> Address:
    """Read an address, and take one of IPv4 out of its IPv6 form. Raises ValueError of what is none."""
    address = ipaddress.ip_address(text)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_public(address: Address) -> bool:
    """Tell whether an address leads to the public internet."""
    if isinstance(address, ipaddress.IPv6Address) and (address.scope_id is not None or address not in _PUBLIC_IPV6):
        return False
    return not any(address in network for network in _SPECIAL)

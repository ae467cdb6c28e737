"""One port for many workers: each accepts from a queue of its own, and the kernel deals new connections out evenly.

With one queue for all, whoever wakes first takes what is there: of 32 connections made at once, one worker of two was
seen to get all. The supervisor keeps every queue open, so that what waits in a dead worker's queue is served by its
replacement.
"""

import socket
from collections.abc import Iterator

BACKLOG = 4096


def listen(host: str, port: int, count: int) -> list[list[socket.socket]]:
    """For each of `count` workers its listening sockets, one for each address of the host. Port 0: one for all.

    Raises OSError where the port is in use, also where whoever has it would share it.
    """
    found: list[list[socket.socket]] = [[] for _ in range(count)]
    try:
        for family, address in _addresses(host, port):
            if port:
                _bound(family, address, port, share=False).close()
            for sockets in found:
                sockets.append(_bound(family, address, port, share=True))
                sockets[-1].listen(BACKLOG)
                port = sockets[-1].getsockname()[1]
    except BaseException:
        close(found)
        raise
    return found


def close(listeners: list[list[socket.socket]]) -> None:
    """Close all of them."""
    for sockets in listeners:
        for each in sockets:
            each.close()


def url_of(listener: socket.socket) -> str:
    """The address under which a listening socket is reached on this host."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _addresses(host: str, port: int) -> Iterator[tuple[int, str]]:
    flags = socket.AI_PASSIVE
    infos = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=flags)
    yield from dict.fromkeys((int(family), str(address[0])) for family, _, _, _, address in infos)


def _bound(family: int, address: str, port: int, *, share: bool) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address, port))
    except BaseException:
        made.close()
        raise
    return made

"""What tests of the upstream client ask with: a pool that must be clean in the end, and one way to ask."""

import contextlib

from joytoken.providers.transport import Deadlines, Limits, Origin, Pool, build_head, render

SHORT = 200  # milliseconds: a deadline that a test waits for
MIB = 1024 * 1024


def to(server, host="127.0.0.1"):
    return Origin("http", host, server.port)


def request(body=b'{"model":"m"}'):
    return render(build_head("POST", Origin("http", "127.0.0.1", 80), "/v1/chat/completions", []), body)


@contextlib.asynccontextmanager
async def pool_of(**limits):
    pool = Pool(Limits(**limits))
    try:
        yield pool
    finally:
        await pool.aclose()
        assert_clean(pool)


def assert_clean(pool, idle=0):
    for counts in pool.stats().values():
        assert counts == {"open": idle, "idle": idle, "in_use": 0, "opening": 0, "waiting": 0}


async def read_all(response, pieces=None):
    pieces = [] if pieces is None else pieces
    while piece := await response.read():
        pieces.append(piece)
    return b"".join(pieces)


async def ask(pool, origin, *, whole=True, deadlines=None):
    """Send a request and return (status, body), with the pieces of a streamed body joined."""
    response = await pool.send(origin, request(), whole=whole, deadlines=deadlines or Deadlines())
    try:
        return response.status, response.body if whole else await read_all(response)
    finally:
        response.close()

"""Whether a provider can be reached: one call for its list of models, which costs nothing."""

import asyncio
import time

import msgspec

from joytoken.domain.catalog import Provider
from joytoken.providers.addresses import Network
from joytoken.providers.transport import Deadlines, Pool
from joytoken.providers.upstream import UpstreamError, build_head, parse_origin, render

_DEADLINES = Deadlines(connect_ms=5_000, first_byte_ms=15_000, idle_ms=15_000, total_ms=20_000)
_SAID_CHARS_MAX = 300
_OK = 200


class Reached(msgspec.Struct, kw_only=True):
    """What came of it. `status` is 0 where no answer came."""

    ok: bool
    status: int = 0
    latency_ms: float = 0.0
    models: list[str] = []
    message: str = ""


class _Entry(msgspec.Struct):
    id: str = ""


class _Listing(msgspec.Struct):
    data: list[_Entry] = []


class _Fault(msgspec.Struct):
    message: str = ""


class _Failure(msgspec.Struct):
    error: _Fault | str = ""


def reach(provider: Provider, credential: str | None, denied: tuple[Network, ...]) -> Reached:
    """Ask a provider for its models, within 20 s; not where it is in one of the `denied` networks.

    Runs an event loop of its own: call it from a thread without one.
    """
    if provider.kind == "echo":
        return Reached(ok=True, status=_OK, models=["echo"], message="built in")
    if provider.api_key_env and not credential:
        said = f"the environment variable {provider.api_key_env} is not set where this runs"
        return Reached(ok=False, message=said)
    return asyncio.run(_ask(provider, credential, denied))


async def _ask(provider: Provider, credential: str | None, denied: tuple[Network, ...]) -> Reached:
    origin, path = parse_origin(provider.base_url, ca_file=provider.ca_file)
    headers = [("accept", "application/json")]
    if credential:
        headers.append(("authorization", f"Bearer {credential}"))
    started = time.monotonic()
    pool = Pool(denied=denied)
    try:
        head = build_head("GET", origin, path + "/models", headers)
        response = await pool.send(origin, render(head, b""), whole=True, deadlines=_DEADLINES)
        content = response.body
    except (UpstreamError, ValueError) as error:
        return Reached(ok=False, latency_ms=_since(started), message=str(error))
    finally:
        await pool.aclose()
    took = _since(started)
    if response.status != _OK:
        return Reached(ok=False, status=response.status, latency_ms=took, message=_said(response.status, content))
    try:
        names = [entry.id for entry in msgspec.json.decode(content, type=_Listing).data if entry.id]
    except msgspec.MsgspecError:
        return Reached(ok=False, status=_OK, latency_ms=took, message="the answer is not a list of models")
    return Reached(ok=True, status=_OK, latency_ms=took, models=sorted(names), message=f"{len(names)} models")


def _since(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 3)


def _said(status: int, content: bytes) -> str:
    try:
        fault = msgspec.json.decode(content, type=_Failure).error
        text = fault if isinstance(fault, str) else fault.message
    except msgspec.MsgspecError:
        text = ""
    said = "".join(char for char in text if char.isprintable())[:_SAID_CHARS_MAX]
    return f"HTTP {status}" + (f": {said}" if said else "")

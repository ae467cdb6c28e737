"""The OpenAI wire protocol: OpenAI itself and every vendor or server that is compatible with it."""

import asyncio

import msgspec

from joytoken.domain.catalog import Disconnect
from joytoken.domain.catalog import Provider as ProviderConfig
from joytoken.domain.route import Choice
from joytoken.providers.transport import Deadlines, Pool, Response, UpstreamError, build_head, parse_origin, render

_OWN_FIELD_HOSTS = ("api.openai.com", ".openai.azure.com")  # these refuse `max_tokens` for their reasoning models


class OpenAIAnswer:
    """An answer of the transport. Its `read`, `header` and `close` are the response's own: streams call them often."""

    __slots__ = ("_response", "close", "content", "header", "read", "status")

    def __init__(self, response: Response, content: bytes) -> None:
        self._response = response
        self.status = response.status
        self.content = content
        self.read = response.read
        self.header = response.header
        self.close = response.close

    def end(self) -> None:
        if self._response.ended:
            return
        task = asyncio.get_running_loop().create_task(_read_out(self._response))
        _reading_out.add(task)
        task.add_done_callback(_reading_out.discard)


_READ_OUT_S = 1.0
_reading_out: set[asyncio.Task[None]] = set()  # the event loop itself keeps no task alive


async def _read_out(response: Response) -> None:
    """Read what little follows the last event (the framing's end), so that the connection can serve again."""
    try:
        async with asyncio.timeout(_READ_OUT_S):
            while await response.read():
                pass
    except (TimeoutError, UpstreamError):
        pass
    finally:
        response.close()


class OpenAIProvider:
    """An account at a vendor that speaks the OpenAI protocol, or a compatible server of one's own."""

    def __init__(self, config: ProviderConfig, credential: str | None, pool: Pool, deadlines: Deadlines) -> None:
        origin, base_path = parse_origin(config.base_url)
        self._origin = msgspec.structs.replace(origin, ca_file=config.ca_file)
        headers = [("content-type", "application/json"), ("accept", "application/json, text/event-stream")]
        if credential:
            headers.append(("authorization", f"Bearer {credential}"))
        self._head = build_head("POST", self._origin, base_path + "/chat/completions", headers)
        self._pool = pool
        self._deadlines = deadlines
        self.on_disconnect: Disconnect = config.on_disconnect
        own_field = any(origin.host == host or origin.host.endswith(host) for host in _OWN_FIELD_HOSTS)
        self.output_bound_field = "max_completion_tokens" if own_field else "max_tokens"
        self.takes_metadata = own_field

    async def invoke(self, choice: Choice, body: bytes, *, stream: bool, request_id: str) -> OpenAIAnswer:  # noqa: ARG002
        data = render(self._head, body, b"X-Request-ID: %b\r\n" % request_id.encode())
        response = await self._pool.send(self._origin, data, whole=not stream, deadlines=self._deadlines)
        if not stream:
            return OpenAIAnswer(response, response.body)
        if response.status == 200:
            return OpenAIAnswer(response, b"")
        return OpenAIAnswer(response, await _read_error(response))


_ERROR_BYTES_MAX = 65_536


async def _read_error(response: Response) -> bytes:
    """The body of an error answer to a streamed request, up to a bound; the rest is not worth a connection."""
    parts: list[bytes] = []
    size = 0
    try:
        while size < _ERROR_BYTES_MAX and (part := await response.read()):
            parts.append(part)
            size += len(part)
    finally:
        response.close()
    return b"".join(parts)

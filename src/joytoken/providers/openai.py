"""The OpenAI wire protocol: OpenAI itself and every vendor or server that is compatible with it."""

from collections.abc import Coroutine

import msgspec

from joytoken.domain.catalog import Disconnect
from joytoken.domain.catalog import Provider as ProviderConfig
from joytoken.domain.route import Choice
from joytoken.providers.transport import Deadlines, Pool, Response, build_head, parse_origin, render

_OWN_FIELD_HOSTS = ("api.openai.com", ".openai.azure.com")  # these refuse `max_tokens` for their reasoning models


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

    def invoke(
        self,
        choice: Choice,  # noqa: ARG002 - one head serves all deployments of a provider
        body: bytes,
        *,
        stream: bool,
        request_id: str,
    ) -> Coroutine[None, None, Response]:
        data = render(self._head, body, b"X-Request-ID: %b\r\n" % request_id.encode())
        sent = self._pool.send(self._origin, data, whole=not stream, deadlines=self._deadlines)
        return _with_error(sent) if stream else sent


_ERROR_BYTES_MAX = 65_536


async def _with_error(sent: Coroutine[None, None, Response]) -> Response:
    """The answer to a streamed request: of an error the body is read, up to a bound."""
    response = await sent
    if response.status != 200:
        response.body = await _read_error(response)
    return response


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

"""An ASGI client in a few lines: one request, its whole answer, and nothing between the two."""

import json
from dataclasses import dataclass


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        assert self.headers["content-type"] == "application/json"
        return self.json["error"]


async def ask(app, target, *, method="GET", headers=(), body=b"", peer="127.0.0.1"):
    """Call an application; `headers` is a dict or a list of pairs, `target` a path with its query."""
    path, _, query = target.partition("?")
    pairs = headers.items() if isinstance(headers, dict) else headers
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"gateway"), *((name.lower().encode(), value.encode()) for name, value in pairs)],
        "client": (peer, 40000),
        "server": ("127.0.0.1", 7410),
        "state": {},
    }
    incoming = [{"type": "http.request", "body": body, "more_body": False}]
    sent = []

    async def receive():
        return incoming.pop() if incoming else {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    start, *parts = sent
    assert [part["type"] for part in parts] == ["http.response.body"] * len(parts)
    names = [name.decode() for name, _ in start["headers"]]
    assert len(set(names)) == len(names), f"a header stands in the answer twice: {names}"
    answered = {name.decode(): value.decode() for name, value in start["headers"]}
    return Answer(start["status"], answered, b"".join(part.get("body", b"") for part in parts))

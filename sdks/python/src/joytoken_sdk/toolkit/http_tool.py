"""A tool that gets pages."""

import functools
import http.client
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from joytoken_sdk.agent.tool import AgentTool, ToolExecutionContext
from joytoken_sdk.json_value import JsonObject
from joytoken_sdk.toolkit.address import plain_address
from joytoken_sdk.toolkit.argument import object_schema, text_argument
from joytoken_sdk.toolkit.checked_connection import AddressRule, CheckedConnection, Deadline

DEFAULT_HTTP_TIMEOUT_S = 15.0
"""How long a fetch may take, redirects and body included, in seconds."""

DEFAULT_HTTP_MAX_BYTES = 1 << 20
"""How much of a body is read, in bytes."""

_REDIRECTS_MAX = 5
_URL_BYTES_MAX = 8 << 10
_USER_AGENT = "joytoken-agent-python"
_PLAIN = "/%:@!$&'()*+,;=~-._"  # what is sent as it stands
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class HttpFetchConfig:
    """What `http_fetch` may reach."""

    allowed_hosts: Sequence[str] = ()
    """The only hosts, without regard to case; an entry with a port allows that port only. Empty: none."""
    timeout_s: float = DEFAULT_HTTP_TIMEOUT_S
    max_bytes: int = DEFAULT_HTTP_MAX_BYTES
    allowed_networks: Sequence[str] = ()
    """Networks that may be reached although they are not public, such as `10.1.2.0/24`. Without it a host that leads to
    a private, local or otherwise special address is refused, whatever its name."""


def http_fetch(config: HttpFetchConfig) -> AgentTool:
    """Return a tool that gets a page from the allowed hosts, by http or https.

    Every redirect is held to the same rules, at most 5 are followed, and none from https to http. Addresses are checked
    as they are connected to, so that a name that changes its address leads nowhere else. No proxy is asked.
    """
    return AgentTool(
        name="http_fetch",
        description="Get a page by http or https, from the hosts that are allowed.",
        parameters=object_schema({"url": "The address."}, ["url"]),
        execute=functools.partial(_execute, _Fetcher(config)),
    )


def _execute(fetcher: "_Fetcher", given: Any, _: ToolExecutionContext) -> JsonObject:
    try:
        return fetcher.fetch(text_argument(given, "url"))
    except (ValueError, OSError) as error:
        raise ValueError(f"http_fetch: {error}") from None
    except http.client.HTTPException as error:
        raise ValueError(f"http_fetch: the answer cannot be read: {type(error).__name__}") from None


class _Fetcher:
    def __init__(self, config: HttpFetchConfig) -> None:
        self._config = config
        self._hosts = {entry.strip().lower() for entry in config.allowed_hosts} - {""}
        self._rule = AddressRule(tuple(map(ipaddress.ip_network, config.allowed_networks)))

    def fetch(self, url: str) -> JsonObject:
        if len(url.encode("utf-8", "replace")) > _URL_BYTES_MAX:
            raise ValueError(f"the address has more than {_URL_BYTES_MAX} bytes")
        deadline = Deadline(self._config.timeout_s)
        target = self._checked(url)
        for _ in range(_REDIRECTS_MAX + 1):
            answer = self._get(target, deadline)
            if isinstance(answer, dict):
                return answer
            following = self._checked(urljoin(target.geturl(), answer))
            if target.scheme == "https" and following.scheme != "https":
                raise ValueError("a redirect from https to http is not followed")
            target = following
        raise ValueError(f"more than {_REDIRECTS_MAX} redirects")

    def _checked(self, url: str) -> SplitResult:
        """Read an address. Raises ValueError of one that must not be fetched."""
        if any(character <= " " or character == "\x7f" for character in url):
            raise ValueError("the address cannot be read: it has a space or a control character")
        target = urlsplit(url)
        if target.scheme not in _PORTS:
            raise ValueError(f'only http and https are fetched, not "{target.scheme[:40]}"')
        if "@" in target.netloc:
            raise ValueError("an address with a user name is not fetched")
        host = _host_of(target)
        entries = {host, f"{host}:{_port_of(target)}", f"[{host}]:{_port_of(target)}"}
        if not host or not entries & self._hosts:
            raise ValueError(f'host "{target.netloc[:200]}" is not on the list of allowed hosts')
        if _is_literal(host):
            self._rule.check(plain_address(host))
        return target

    def _get(self, target: SplitResult, deadline: Deadline) -> JsonObject | str:
        """Ask once: the page, or where it says to go."""
        host, port = _host_of(target), _port_of(target)
        connection = CheckedConnection(host, port, self._rule, deadline, tls=target.scheme == "https")
        try:
            path = quote(target.path or "/", safe=_PLAIN)
            query = f"?{quote(target.query, safe=_PLAIN + '?')}" if target.query else ""
            connection.request("GET", path + query, headers={"User-Agent": _USER_AGENT})
            answer = connection.getresponse()
            location = answer.getheader("Location")
            if answer.status in {301, 302, 303, 307, 308} and location:
                return location
            page = self._page(answer)
        except (OSError, http.client.HTTPException):
            deadline.left_s()  # what was cut there fails in many ways
            raise
        finally:
            connection.close()
        deadline.left_s()
        return page

    def _page(self, answer: http.client.HTTPResponse) -> JsonObject:
        limit = self._config.max_bytes
        data = answer.read(limit + 1)
        told = data[:limit]
        return {
            "status": answer.status,
            "content_type": answer.getheader("Content-Type") or "",
            "body": told.decode("utf-8", "replace"),
            "bytes": len(told),
            "truncated": len(data) > limit,
        }


def _host_of(target: SplitResult) -> str:
    return (target.hostname or "").lower().removesuffix(".")


def _port_of(target: SplitResult) -> int:
    return target.port or _PORTS[target.scheme]


def _is_literal(host: str) -> bool:
    try:
        plain_address(host)
    except ValueError:
        return False
    return True

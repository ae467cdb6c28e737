"""Pages: only from hosts and addresses that are allowed, through every redirect, within bounds of size and time."""

import http.server
import ipaddress
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from joytoken_sdk.agent.tool import ToolExecutionContext
from joytoken_sdk.toolkit import HttpFetchConfig, http_fetch
from joytoken_sdk.toolkit.address import is_public

CONTEXT = ToolExecutionContext(step=1, tool_call={}, messages=[])
LOOPBACK = ("127.0.0.0/8", "::1/128")


class Pages(http.server.ThreadingHTTPServer):
    """A server of a few pages, which counts who comes."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Page)
        self.asked: list[str] = []
        self.release = threading.Event()
        self.host = f"127.0.0.1:{self.server_address[1]}"
        self.url = f"http://{self.host}"


class _Page(http.server.BaseHTTPRequestHandler):
    server: Pages

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
        elif self.path.startswith("/loop/"):
            self.send_response(307)
            self.send_header("Location", f"/loop/{int(self.path.removeprefix('/loop/')) + 1}")
            self.end_headers()
        elif self.path == "/drip":
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not self.server.release.wait(0.02):
                try:
                    self.wfile.write(b"X")
                except OSError:
                    return
        else:
            self.send_response(418)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            self.wfile.write(b"GET " + b"x" * 100 + b"\xff")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


@pytest.fixture
def pages() -> Iterator[Pages]:
    server = Pages()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(url: str, *hosts: str, networks: tuple[str, ...] = LOOPBACK, **bounds: Any) -> Any:
    config = HttpFetchConfig(allowed_hosts=hosts, allowed_networks=networks, **bounds)
    return http_fetch(config).execute({"url": url}, CONTEXT)


def test_a_page_is_fetched_from_an_allowed_host(pages: Pages) -> None:
    page = fetch(f"{pages.url}/a?b=ä c".replace(" ", "%20"), "127.0.0.1")
    assert (page["status"], page["content_type"], page["bytes"], page["truncated"]) == (418, "text/plain", 105, False)
    assert page["body"] == "GET " + "x" * 100 + "\ufffd"
    assert pages.asked == ["/a?b=%C3%A4%20c"]
    cut = fetch(pages.url, pages.host, max_bytes=10)
    assert (cut["body"], cut["bytes"], cut["truncated"]) == ("GET xxxxxx", 10, True)


HOSTS = (
    *("127.0.0.1", "localhost", "[::1]", "::1", "::ffff:127.0.0.1", "0.0.0.0", "10.0.0.1", "169.254.169.254"),
    *("fd00:ec2::254", "64:ff9b::7f00:1", "100.100.100.200", "example.com:443"),
)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://other.example/", "is not on the list of allowed hosts"),
        ("http://localhost.example/", "is not on the list"),
        ("http://example.com/", "is not on the list"),
        ("http://127.0.0.1:PORT", "the address 127.0.0.1 is not public"),
        ("http://localhost:PORT", "is not public"),
        ("http://LOCALHOST.:PORT", "is not public"),
        ("http://[::1]:PORT", "the address ::1 is not public"),
        ("http://[::ffff:127.0.0.1]:PORT", "the address 127.0.0.1 is not public"),
        ("http://[64:ff9b::7f00:1]:PORT", "is not public"),
        ("http://0.0.0.0:PORT", "is not public"),
        ("http://10.0.0.1/", "is not public"),
        ("http://169.254.169.254/latest/meta-data/", "is not public"),
        ("http://[fd00:ec2::254]/", "is not public"),
        ("http://100.100.100.200/", "is not public"),
        ("file:///etc/passwd", "only http and https"),
        ("127.0.0.1/", "only http and https"),
        ("http://a:b@127.0.0.1:PORT", "user name"),
        ("http:///x", "is not on the list"),
        ("http://[", "http_fetch: "),
        ("http://localhost:99999/", "http_fetch: "),
        ("http://localhost/\r\nX: y", "cannot be read"),
        ("http://localhost/ x", "cannot be read"),
        ("http://localhost/" + "x" * 9000, "more than"),
    ],
    ids=lambda text: text[:40],
)
def test_what_is_not_fetched(pages: Pages, url: str, problem: str) -> None:
    with pytest.raises(ValueError) as caught:
        fetch(url.replace("PORT", pages.host.partition(":")[2]), *HOSTS, networks=())
    assert problem in str(caught.value)
    assert pages.asked == []


def test_without_a_list_nothing_is_fetched(pages: Pages) -> None:
    with pytest.raises(ValueError, match="is not on the list"):
        fetch(pages.url)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/to/http://other.example/", "is not on the list"),
        ("/to/http://localhost:1/", "is not on the list"),
        ("/to/http://10.0.0.1/", "is not public"),
        ("/to/file:///etc/passwd", "only http and https"),
        ("/to/http://a@127.0.0.1/", "user name"),
        ("/loop/1", "more than 5 redirects"),
    ],
)
def test_redirects_are_held_to_the_same_rules(pages: Pages, path: str, problem: str) -> None:
    with pytest.raises(ValueError) as caught:
        fetch(pages.url + path, pages.host, "10.0.0.1")
    assert problem in str(caught.value)
    assert len(pages.asked) == (6 if path.startswith("/loop") else 1)


def test_a_redirect_is_followed(pages: Pages) -> None:
    assert fetch(f"{pages.url}/to//there", pages.host)["status"] == 418
    assert pages.asked == ["/to//there", "/there"]


def test_the_address_that_is_checked_is_the_one_connected_to(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is looked up once. One that leads to a public and to a private address leads nowhere."""
    port = int(pages.host.partition(":")[2])
    lookups: list[str] = []

    def entry(address: str) -> Any:
        return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))

    def rebinding(host: str, *_: Any, **__: Any) -> Any:
        lookups.append(host)
        return [entry("93.184.215.14"), entry("127.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with pytest.raises(ValueError, match=r"the address 127\.0\.0\.1 is not public"):
        fetch(f"http://rebinding.example:{port}/", "rebinding.example", networks=())
    assert (lookups, pages.asked) == (["rebinding.example"], [])


def test_a_server_that_drips_is_left(pages: Pages) -> None:
    with pytest.raises(ValueError, match=r"it took more than 0\.3 s"):
        fetch(f"{pages.url}/drip", pages.host, timeout_s=0.3)


def test_what_is_public() -> None:
    assert all(is_public(ipaddress.ip_address(text)) for text in ("93.184.215.14", "1.1.1.1", "2606:4700::1111"))
    private = ("192.168.0.1", "172.16.0.1", "224.0.0.1", "255.255.255.255", "fe80::1%eth0", "fe80::1", "ff02::1", "::")
    assert not any(is_public(ipaddress.ip_address(text)) for text in (*private, "2001:db8::1", "2002:7f00:1::"))

"""The words of a request: what is taken, and what could break its framing and is not."""

import pytest

from joytoken.providers.upstream import Origin, UpstreamError, build_head, header_line, parse_origin, render

HERE = Origin("http", "127.0.0.1", 8080)

URLS = {
    "https://api.example.com/v1": ("https", "api.example.com", 443, "/v1", "api.example.com"),
    "https://api.example.com/v1/": ("https", "api.example.com", 443, "/v1", "api.example.com"),
    "https://API.Example.com": ("https", "api.example.com", 443, "", "api.example.com"),
    "http://localhost:11434/v1": ("http", "localhost", 11434, "/v1", "localhost:11434"),
    "http://10.0.0.1/": ("http", "10.0.0.1", 80, "", "10.0.0.1"),
    "http://[::1]:8080/a/b": ("http", "::1", 8080, "/a/b", "[::1]:8080"),
    "https://[2001:DB8::0:1]": ("https", "2001:db8::1", 443, "", "[2001:db8::1]"),
    "https://example.com:443": ("https", "example.com", 443, "", "example.com"),
    "http://example.com:443": ("http", "example.com", 443, "", "example.com:443"),
    "http://model_server:8000/v1": ("http", "model_server", 8000, "/v1", "model_server:8000"),
}


@pytest.mark.parametrize("url", URLS)
def test_a_base_url_is_split(url):
    scheme, host, port, path, authority = URLS[url]
    origin, base_path = parse_origin(url, ca_file="ca.pem")
    assert origin == Origin(scheme, host, port, "ca.pem")
    assert (base_path, origin.authority) == (path, authority)


NO_URLS = {
    "": "begins with http",
    "api.example.com/v1": "begins with http",
    "ftp://example.com": "begins with http",
    "file:///etc/passwd": "begins with http",
    "//example.com": "begins with http",
    "https://": "host",
    "https:///v1": "host",
    "https://:8080": "host",
    "https://exa..mple.com": "host",
    "https://-a.com": "host",
    "https://" + "a" * 64 + ".com": "host",
    "https://%65xample.com": "host",
    "https://[::1": "host",
    "https://[::g]": "host",
    "https://[fe80::1%25eth0]": "host",
    "https://example.com:": "port",
    "https://example.com:0": "port",
    "https://example.com:65536": "port",
    "https://example.com:x": "port",
    "https://user@example.com": "user name",
    "https://user:secret@example.com": "user name",
    "https://example.com?x=1": "query",
    "https://example.com/?": "query",
    "https://example.com/#x": "fragment",
    "https://example.com/a b": "spaces",
    " https://example.com": "spaces",
    "https://example.com/\r\nX: y": "spaces",
    "https://example.com\n": "spaces",
    "https://example.com\\@evil.com": "spaces",
    "https://exämple.com": "ASCII",
    "https://example.com/[": "path",
}


@pytest.mark.parametrize("url", NO_URLS)
def test_what_is_no_base_url_is_refused(url):
    with pytest.raises(ValueError, match=NO_URLS[url]) as caught:
        parse_origin(url)
    assert "secret" not in str(caught.value)


def test_a_request_is_put_together():
    head = build_head("POST", HERE, "/v1/chat?x=1", [("Authorization", "Bearer k"), ("X-Name", " é\t ")])
    assert head == (
        b"POST /v1/chat?x=1 HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAccept-Encoding: identity\r\n"
        b"Authorization: Bearer k\r\nX-Name: \xe9\r\nContent-Length: "
    )
    assert render(head, b"{}", header_line("X-Id", "1")) == head + b"2\r\nX-Id: 1\r\n\r\n{}"


@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\rb", "a\0b", "a\x7fb", "a\x1bb", "€"])
def test_a_value_cannot_break_out(value):
    with pytest.raises(ValueError, match="X-Name"):
        header_line("X-Name", value)
    with pytest.raises(ValueError, match="X-Name"):
        build_head("POST", HERE, "/", [("X-Name", value)])


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "a\n", "a\0", "é", "(a)"])
def test_a_name_is_a_token(name):
    with pytest.raises(ValueError, match="token"):
        header_line(name, "x")


@pytest.mark.parametrize(
    "name", ["Content-Length", "transfer-encoding", "HOST", "Connection", "Accept-Encoding", "Expect", "TE", "Upgrade"]
)
def test_the_clients_own_headers_are_not_given(name):
    with pytest.raises(ValueError, match="by the client itself"):
        header_line(name, "x")


@pytest.mark.parametrize(
    ("method", "path"),
    [("post", "/"), ("", "/"), ("GET /", "/"), ("HEAD", "/"), ("CONNECT", "/")]
    + [("POST", path) for path in ("", "v1", "http://x/", "/a b", "/a\r\n", "/\0", "/é", "/a\n", "*")],
)
def test_a_method_and_a_path_cannot_break_out(method, path):
    with pytest.raises(ValueError):
        build_head(method, HERE, path, [])


def test_an_error_says_whether_another_attempt_may_help():
    assert UpstreamError("connect_failed", "x", sent=False).retryable
    assert UpstreamError("reset", "x", sent=True).retryable
    assert not UpstreamError("cut", "x", sent=True).retryable
    assert not UpstreamError("tls_failed", "x", sent=False).retryable

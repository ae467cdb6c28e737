import logging
import re

import pytest
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.routing import Route

from joytoken.domain.errors import Conflict, InsufficientQuota, RateLimited
from tests.api.worlds import GOOD, World

OWN_ID = re.compile(r"req-[0-9a-f]{32}")


def raising(error):
    async def endpoint(request):
        raise error

    return World(extra_routes=[Route("/raise", endpoint)])


EVERYWHERE = [
    ("/health", "GET", 200),
    ("/api/v1/models", "GET", 200),
    ("/api/v1/models", "HEAD", 200),
    ("/api/v1/pricing", "GET", 401),
    ("/nowhere", "GET", 404),
    ("/health", "PUT", 405),
]


@pytest.mark.parametrize(("path", "method", "status"), EVERYWHERE)
async def test_every_answer_names_its_request_and_keeps_to_its_type(path, method, status):
    found = await World().ask(path, method=method)
    assert found.status == status
    assert OWN_ID.fullmatch(found.headers["x-request-id"])
    assert found.headers["x-daoe-request-id"] == found.headers["x-request-id"]
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["content-type"] == "application/json"


async def test_no_two_requests_share_an_id():
    world = World()
    assert len({(await world.ask("/health")).headers["x-request-id"] for _ in range(50)}) == 50


CORRELATIONS = [
    ("a", True),
    ("my-trace/7:b", True),
    ("x" * 128, True),
    ("x" * 129, False),
    ("", False),
    ("two words", False),
    ("tab\there", False),
    ("line\r\nset-cookie: a", False),
    ("naïve", False),
    ("\x7f", False),
]


@pytest.mark.parametrize(("given", "kept"), CORRELATIONS)
@pytest.mark.parametrize("path", ["/health", "/nowhere"])
async def test_a_wellformed_request_id_is_echoed_and_another_is_replaced(given, kept, path):
    found = await World().ask(path, headers={"X-Request-ID": given})
    named = found.headers["x-request-id"]
    assert found.headers["x-daoe-request-id"] == named
    assert named == given if kept else OWN_ID.fullmatch(named)
    if path == "/nowhere":  # in the body stands the gateway's own id, whatever the caller called the request
        assert OWN_ID.fullmatch(found.error["request_id"])


async def test_the_length_of_a_kept_request_id_is_a_setting():
    world = World(correlation_id_chars_max=4)
    assert (await world.ask("/health", headers={"X-Request-ID": "abcd"})).headers["x-request-id"] == "abcd"
    assert (await world.ask("/health", headers={"X-Request-ID": "abcde"})).headers["x-request-id"] != "abcde"


REFUSALS = [
    (Conflict("it is so already", "taken", param="name"), 409, "conflict_error", "taken", "name"),
    (RateLimited("too many", retry_after_s=7), 429, "rate_limit_error", "rate_limited", None),
    (InsufficientQuota("empty", details={"required": 5}), 402, "insufficient_quota", "wallet_empty", None),
]


@pytest.mark.parametrize(("error", "status", "kind", "code", "param"), REFUSALS)
async def test_an_endpoint_refuses_by_raising(error, status, kind, code, param):
    found = await raising(error).ask("/raise")
    assert found.status == status
    shown = found.error
    details = shown.pop("details", {})
    request_id = found.headers["x-request-id"]
    assert shown == {"message": error.message, "type": kind, "code": code, "param": param, "request_id": request_id}
    assert details == error.details
    assert found.headers.get("retry-after") == (None if error.retry_after_s is None else str(error.retry_after_s))


async def test_a_defect_is_answered_in_shape_and_logged_under_its_id(caplog):
    found = await raising(RuntimeError("the database password is swordfish")).ask("/raise", key=GOOD)
    assert found.status == 500
    assert found.error["type"] == "internal_error"
    assert found.error["request_id"] == found.headers["x-request-id"]
    assert found.headers["cache-control"] == "no-store"
    assert b"swordfish" not in found.body
    assert found.headers["x-request-id"] in caplog.text
    assert GOOD not in caplog.text


async def test_a_defect_after_the_answer_began_breaks_it_off():
    async def parts():
        yield b"half"
        raise RuntimeError("gone wrong")

    async def endpoint(request):
        return StreamingResponse(parts())

    with pytest.raises((RuntimeError, ExceptionGroup)):
        await World(extra_routes=[Route("/half", endpoint)]).ask("/half")


async def test_a_caller_who_hung_up_is_no_defect(caplog):
    with caplog.at_level(logging.INFO), pytest.raises(ValueError, match="unpack"):  # nothing was sent
        await raising(ClientDisconnect()).ask("/raise")
    assert not caplog.records


async def test_an_answer_may_say_how_it_is_stored_and_cannot_change_its_name():
    async def endpoint(request):
        from_elsewhere = {"Cache-Control": "max-age=60", "X-Request-ID": "another"}
        return StreamingResponse(iter([b"ok"]), headers=from_elsewhere)

    found = await World(extra_routes=[Route("/own", endpoint)]).ask("/own")
    assert found.headers["cache-control"] == "max-age=60"
    assert OWN_ID.fullmatch(found.headers["x-request-id"])


@pytest.mark.parametrize("path", ["/health", "/ready", "/api/v1/models", "/openai/v1/models", "/openai/v1/models/auto"])
async def test_head_is_get_without_a_body(path):
    world = World()
    got, headed = [await world.ask(path, key=GOOD, method=method) for method in ("GET", "HEAD")]
    assert (headed.status, headed.body) == (got.status, b"")
    changing = ("x-request-id", "x-daoe-request-id")
    assert [(n, v) for n, v in headed.headers.items() if n not in changing] == [
        (n, v) for n, v in got.headers.items() if n not in changing
    ]
    assert int(headed.headers["content-length"]) == len(got.body)

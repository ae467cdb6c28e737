import pytest
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from joytoken.domain.errors import NotFound
from tests.api.worlds import GOOD, World, make_model

CHAT = "/openai/v1/chat/completions"


async def fine(request):
    return JSONResponse(dict(request.path_params))


async def unknown(request):
    raise NotFound("there is no such key", "unknown_key")


def too_large(status):
    async def endpoint(request):
        raise HTTPException(status, "said the framework")

    return endpoint


def world():
    managed = [
        Route("/keys", fine, methods=["GET"]),
        Route("/keys", fine, methods=["POST"]),
        Route("/keys/{id}", fine, methods=["PATCH"]),
        Route("/lost", unknown),
        Mount("/deeper", routes=[Route("/still", fine, methods=["DELETE"])]),
    ]
    extra = [Mount("/api/v1/manage", routes=managed), Route("/413", too_large(413)), Route("/503", too_large(503))]
    return World(make_model("acme/one"), extra_routes=extra)


UNKNOWN = [
    "/",
    "/nowhere",
    "/openai",
    "/openai/v1",
    "/openai/v1/",
    "/openai/v1/engines",
    "/openai/v1/chat/completions/",
    "/openai/v1/models/",
    "/OpenAI/v1/models",
    "/api/v1/models/",
    "/api/v1/models/other",
    "/api/v1/pricing/",
    "/api/v1/requests",
    "/api/v1/requests/",
    "/api/v1/requests/req-1/more",
    "/health/",
    "/ready/",
    "//health",
    "/api/v1/manage",
    "/api/v1/manage/",
    "/api/v1/manage/keys/",
    "/api/v1/manage/nothing",
    "/api/v1/manage/deeper/still/",
]


@pytest.mark.parametrize("path", UNKNOWN)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_unknown_path_is_404_and_never_a_redirect(path, method):
    found = await world().ask(path, method=method, key=GOOD)
    assert found.status == 404
    assert (found.error["type"], found.error["code"]) == ("not_found_error", "unknown_path")
    assert path in found.error["message"]
    assert "/openai/v1" in found.error["message"]
    assert "/api/v1" in found.error["message"]
    assert "location" not in found.headers


async def test_a_path_is_shown_escaped_and_bounded():
    hostile = "/\x1b[31m\u202e<script>\r\nSet-Cookie: a=b\ud800" + "x" * 5000
    scope_path = hostile.replace("\ud800", "�")
    found = await world().ask(scope_path)
    message = found.error["message"]
    assert message.isascii()
    assert message.isprintable()
    assert len(message) < 500


GET_ONLY = "GET, HEAD"
METHODS = [
    (CHAT, "GET", "POST"),
    (CHAT, "HEAD", "POST"),
    (CHAT, "PUT", "POST"),
    (CHAT, "OPTIONS", "POST"),
    ("/openai/v1/models", "POST", GET_ONLY),
    ("/openai/v1/models/acme/one", "DELETE", GET_ONLY),
    ("/openai/v1/models/one", "DELETE", GET_ONLY),
    ("/api/v1/models", "POST", GET_ONLY),
    ("/api/v1/models?tier=standard", "POST", GET_ONLY),
    ("/api/v1/models/meta", "PATCH", GET_ONLY),
    ("/api/v1/pricing", "POST", GET_ONLY),
    ("/api/v1/requests/req-1", "DELETE", GET_ONLY),
    ("/health", "POST", GET_ONLY),
    ("/ready", "OPTIONS", GET_ONLY),
    ("/api/v1/manage/keys", "DELETE", "GET, HEAD, POST"),
    ("/api/v1/manage/keys/7", "GET", "PATCH"),
    ("/api/v1/manage/deeper/still", "GET", "DELETE"),
]


@pytest.mark.parametrize(("path", "method", "allow"), METHODS)
@pytest.mark.parametrize("key", [None, GOOD])
async def test_a_known_path_names_its_methods(path, method, allow, key):
    found = await world().ask(path, method=method, key=key)
    assert found.status == 405
    assert found.headers["allow"] == allow
    if method != "HEAD":
        assert (found.error["type"], found.error["code"]) == ("method_not_allowed", "method_not_allowed")
        assert method in found.error["message"]


async def test_only_the_plain_spelling_of_the_hot_path_is_served():
    """A server hands the decoded path over: POST comes here only where the caller percent-encoded a part of it."""
    found = await world().ask(CHAT, method="POST", key=GOOD, body=b"{}")
    assert (found.status, found.error["code"]) == (404, "unknown_path")


MOUNTED = [("/api/v1/manage/keys", "GET", {}), ("/api/v1/manage/keys/7", "PATCH", {"id": "7"})]


@pytest.mark.parametrize(("path", "method", "params"), MOUNTED)
async def test_extra_routes_are_served(path, method, params):
    found = await world().ask(path, method=method)
    assert (found.status, found.json) == (200, params)
    assert found.headers["cache-control"] == "no-store"


async def test_extra_routes_refuse_in_the_same_shape():
    found = await world().ask("/api/v1/manage/lost")
    assert (found.status, found.error["code"]) == (404, "unknown_key")


@pytest.mark.parametrize(("path", "kind"), [("/413", "invalid_request_error"), ("/503", "internal_error")])
async def test_the_frameworks_own_refusals_have_the_contracts_shape(path, kind):
    found = await world().ask(path)
    assert (found.status, found.error["type"]) == (int(path[1:]), kind)
    assert found.error["message"] == "said the framework"

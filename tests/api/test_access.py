import pytest

from joytoken.domain.apikey import Policy
from tests.api.asgi_client import ask
from tests.api.worlds import EXPIRED, GOOD, NEVER, OTHER, REVOKED, World, make_key, make_model

BLOCKED = "jt_live_blocked"
UNKNOWN_REQUEST = "/api/v1/requests/req-" + "0" * 32
# Each keyed endpoint, and what it answers to a good key.
KEYED = [
    ("/api/v1/models/meta", 200),
    ("/api/v1/pricing", 200),
    ("/openai/v1/models", 200),
    ("/openai/v1/models/acme/one", 200),
    ("/openai/v1/models/acme/none", 404),
    (UNKNOWN_REQUEST, 404),
]
ADMITTED = None
CREDENTIALS = [
    ("no key", {}, 401, "missing_api_key"),
    ("a blank key", {"X-API-Key": "  "}, 401, "missing_api_key"),
    ("another scheme", {"Authorization": f"Basic {GOOD}"}, 401, "missing_api_key"),
    ("an empty bearer", {"Authorization": "Bearer "}, 401, "missing_api_key"),
    ("a good bearer", {"Authorization": f"Bearer {GOOD}"}, ADMITTED, ""),
    ("a bearer in capitals", {"Authorization": f"BEARER {GOOD}"}, ADMITTED, ""),
    ("a good x-api-key", {"X-API-Key": GOOD}, ADMITTED, ""),
    ("an unknown key", {"Authorization": "Bearer jt_live_unknown"}, 403, "invalid_api_key"),
    ("a revoked key", {"Authorization": f"Bearer {REVOKED}"}, 403, "invalid_api_key"),
    ("an expired key", {"X-API-Key": EXPIRED}, 403, "invalid_api_key"),
    ("bad x-api-key, good bearer", {"X-API-Key": "bad", "Authorization": f"Bearer {GOOD}"}, 403, "invalid_api_key"),
    ("good x-api-key, bad bearer", {"X-API-Key": GOOD, "Authorization": "Bearer bad"}, ADMITTED, ""),
    ("a blocked key", {"X-API-Key": BLOCKED}, 403, "policy_rejected"),
]


def world():
    return World(make_model("acme/one"), keys=[make_key(BLOCKED, policy=Policy(blocked=True))])


@pytest.mark.parametrize(("path", "admitted"), KEYED)
@pytest.mark.parametrize(("case", "headers", "status", "kind"), CREDENTIALS, ids=[c[0] for c in CREDENTIALS])
async def test_a_key_is_asked_for_by_the_hot_routes_rules(path, admitted, case, headers, status, kind):
    found = await world().ask(path, headers=headers)
    assert found.status == (status or admitted)
    if status is not ADMITTED:
        assert found.error["type"] == kind
        assert found.error["message"]
    assert found.headers["cache-control"] == "no-store"
    assert found.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)


@pytest.mark.parametrize(("path", "_"), KEYED)
async def test_a_key_that_may_not_be_used_from_there_is_refused(path, _):
    found = await world().ask(path, key=GOOD, peer="203.0.113.9")
    assert (found.status, found.error["code"]) == (403, "ip_not_allowed")


@pytest.mark.parametrize("secret", ["jt_live_unknown", REVOKED, EXPIRED, BLOCKED, GOOD])
@pytest.mark.parametrize(("path", "_"), KEYED)
async def test_no_answer_and_no_log_holds_a_key(path, _, secret, caplog):
    with caplog.at_level(0):
        found = await world().ask(path, key=secret)
    assert secret not in found.body.decode() + str(found.headers) + caplog.text


async def test_two_keys_in_one_header_are_refused():
    headers = [("X-API-Key", GOOD), ("X-API-Key", OTHER)]
    found = await ask(world().app, "/api/v1/pricing", headers=headers)
    assert (found.status, found.error["code"]) == (400, "conflicting_headers")


@pytest.mark.parametrize("path", ["/api/v1/pricing", "/openai/v1/models"])
async def test_the_key_is_checked_before_the_catalog(path):
    assert (await World(catalog=NEVER).ask(path)).status == 401


@pytest.mark.parametrize("path", ["/health", "/ready", "/api/v1/models"])
@pytest.mark.parametrize("key", [None, GOOD, "jt_live_unknown", REVOKED])
async def test_what_needs_no_key_tolerates_any(path, key):
    assert (await world().ask(path, key=key)).status == 200

import json

import pytest

from joytoken.admin.desk import Desk
from joytoken.admin.operations import OPERATIONS
from joytoken.api.manage import BODY_BYTES_MAX, ROOT, manage_routes
from joytoken.store.engine import StoreUnavailable
from tests.admin.conftest import data_dir, desk, first, ready_folder  # noqa: F401 - fixtures
from tests.admin.worlds import paid
from tests.api.asgi_client import ask
from tests.api.worlds import GOOD, World


@pytest.fixture
def manage(desk, first):  # noqa: F811
    """Call the management API with the first admin key."""
    app = World(extra_routes=manage_routes(desk)).app

    async def call(method, path, body=None, *, key=first.admin_key, headers=None, raw=None):
        sent = {"Authorization": f"Bearer {key}"} if key else {}
        content = raw if raw is not None else b"" if body is None else json.dumps(body).encode()
        return await ask(app, ROOT + path, method=method, headers={**sent, **(headers or {})}, body=content)

    return call


@pytest.mark.parametrize(
    ("key", "headers", "status", "kind"),
    (
        ("", {}, 401, "missing_api_key"),
        ("", {"Authorization": "Basic x"}, 401, "missing_api_key"),
        ("jt_admin_nonsense", {}, 403, "invalid_api_key"),
        (GOOD, {}, 403, "invalid_api_key"),
        ("jt_admin_" + "0" * 49, {}, 403, "invalid_api_key"),
    ),
)
async def test_every_operation_needs_an_admin_key(manage, key, headers, status, kind):
    for operation in OPERATIONS:
        path = operation.path.replace("{", "").replace("}", "")
        answer = await manage(operation.method, path, raw=b"not even JSON", key=key, headers=headers)
        assert (answer.status, answer.error["type"]) == (status, kind), operation.name


async def test_a_callers_key_does_not_manage_and_x_api_key_does(manage, first):  # noqa: F811
    assert (await manage("GET", "/keys", key=first.api_key)).status == 403
    assert (await manage("GET", "/keys", key="", headers={"X-API-Key": first.admin_key})).status == 200
    assert (await manage("GET", "/keys", key=first.admin_key, headers={"X-API-Key": "jt_admin_x"})).status == 403


async def test_a_key_from_its_making_to_its_end(manage):
    made = await manage("POST", "/keys", {"name": "k", "tiers": ["economy"], "limit_daily": "5"})
    assert (made.status, made.headers["cache-control"]) == (201, "no-store")
    key = made.json
    assert key["api_key"].startswith("jt_live_")
    assert (key["allowed_tiers"], key["limit_daily"]) == (["economy"], "5")
    path = f"/keys/{key['id']}"
    changed = (await manage("PATCH", path, {"requests_per_minute": 3, "clear": ["limit_daily"]})).json
    assert (changed["requests_per_minute"], changed["limit_daily"]) == (3, None)
    rotated = (await manage("POST", path + "/rotate", {"overlap": "1h"})).json
    assert rotated["api_key"] != key["api_key"]
    assert (await manage("POST", path + "/revoke")).json["status"] == "revoked"
    assert (await manage("PATCH", path, {"project": "p"})).status == 409
    assert "api_key" not in (await manage("GET", path)).json
    listed = (await manage("GET", "/keys?revoked=false")).json["keys"]
    assert [one["name"] for one in listed] == ["first"]


async def test_a_wallets_change_needs_its_idempotency_key(manage):
    path, body = "/wallets/premium/top-up", {"amount": "2.5"}
    assert (await manage("POST", path, body)).error["code"] == "idempotency_key_missing"
    made = await manage("POST", path, body, headers={"Idempotency-Key": "k1"})
    again = await manage("POST", path, body, headers={"Idempotency-Key": "k1"})
    assert (made.status, made.json["balance"]) == (200, "1002.500000")
    assert made.json == again.json
    assert made.json["actor"].startswith("admin jt_admin_")
    other = await manage("POST", path, {"amount": "3"}, headers={"Idempotency-Key": "k1"})
    assert other.status == 409
    adjusted = await manage(
        "POST", "/wallets/premium/adjust", {"amount": "-2.5", "reason": "x"}, headers={"Idempotency-Key": "k2"}
    )
    assert adjusted.json["balance"] == "1000.000000"
    statement = (await manage("GET", "/wallets/premium/statement?limit=1")).json
    assert (statement["entries"][0]["amount"], statement["next"] is None) == ("-2.500000", False)
    assert (await manage("GET", "/verify")).json["ok"] is True


async def test_names_with_slashes_stand_in_the_path_as_they_are(manage):
    body = {"name": "acme/big/v1", "provider": "echo", "input_mtok": "1", "output_mtok": "2"}
    assert (await manage("POST", "/models", body)).status == 201
    changed = await manage("PATCH", "/models/acme/big/v1", {"tier": "premium"})
    assert changed.json["tier"] == "premium"
    assert (await manage("DELETE", "/models/acme/big/v1")).json == {"removed": "acme/big/v1"}
    assert (await manage("DELETE", "/models/acme/big/v1")).error["code"] == "unknown_model"


async def test_usage_and_requests(manage, desk):  # noqa: F811
    record = paid(desk)
    assert (await manage("GET", "/usage?by=model&by=project&zone=Europe/Berlin")).json["rows"][0]["group"] == {
        "model": "echo/echo",
        "project": "blue",
    }
    (times,) = (await manage("GET", "/usage/latency?by=provider,day")).json["rows"]
    assert (times["group"]["provider"], times["requests"], times["total"]["requests"]) == ("echo", 1, 1)
    assert (await manage("GET", "/usage/latency?by=key")).error["code"] == "unknown_dimension"
    assert (await manage("GET", "/requests?limit=1")).json["requests"][0]["request_id"] == record.request_id
    assert (await manage("GET", f"/requests/{record.request_id}")).json["money"]["settled"] == "1.000000"
    assert (await manage("GET", "/requests/tail?after=0")).json["requests"][0]["charged"] == "1.000000"
    assert (await manage("POST", "/routes/explain", {"model": "echo"})).json["choices"][0]["provider"] == "echo"
    await manage("PUT", "/prices/tiers/premium", {"usd_per_credit": "0.01"})
    assert (await manage("GET", "/audit?limit=1")).json["entries"][0]["action"] == "price.tier"


@pytest.mark.parametrize(
    ("method", "path", "raw", "param"),
    (
        ("POST", "/keys", b"{", None),
        ("POST", "/keys", b"[]", None),
        ("POST", "/keys", b'"\xff"', None),
        ("POST", "/keys", b'{"name": NaN}', None),
        ("POST", "/keys", b"[" * 100_000, None),
        ("POST", "/keys", b"{}", "name"),
        ("POST", "/keys", b'{"name": 1}', "name"),
        ("POST", "/keys", b'{"name": "k", "allowed_tier": ["economy"]}', "allowed_tier"),
        ("POST", "/keys", b'{"name": "k", "tier": "gold"}', "tier"),
        ("POST", "/keys", b'{"name": "k", "requests_per_minute": "3"}', "requests_per_minute"),
        ("PATCH", "/keys/first", b'{"id": "other"}', "id"),
        ("POST", "/keys", b'{"name": "' + b"x" * BODY_BYTES_MAX + b'"}', None),
        ("GET", "/keys?revokd=false", b"", "revokd"),
        ("GET", "/keys?revoked=maybe", b"", "revoked"),
        ("GET", "/requests?limit=1&limit=2", b"", "limit"),
        ("GET", "/requests?limit=x", b"", "limit"),
    ),
)
async def test_a_bad_request_is_refused_by_name_and_changes_nothing(manage, desk, method, path, raw, param):  # noqa: F811
    before = desk.store.generation()
    answer = await manage(method, path, raw=raw)
    assert (answer.status, answer.error["type"], answer.error["param"]) == (400, "invalid_request_error", param)
    assert desk.store.generation() == before


async def test_unknown_paths_and_methods(manage):
    assert (await manage("GET", "/nothing")).status == 404
    assert (await manage("PUT", "/keys")).status == 405


class Away:
    """A store whose database is away."""

    def __getattr__(self, name):
        raise StoreUnavailable("locked")


async def test_a_database_that_is_away_is_said_so(desk, first):  # noqa: F811
    app = World(extra_routes=manage_routes(Desk(Away(), desk.settings, desk.vault))).app
    answer = await ask(app, ROOT + "/keys", headers={"X-API-Key": first.admin_key})
    assert (answer.status, answer.error["code"], answer.headers["retry-after"]) == (503, "store_unavailable", "1")


def test_the_fixed_paths_come_before_those_with_a_name():
    names = [operation.name for operation in OPERATIONS]
    assert len(set(names)) == len(names)
    for fixed, named in (("requests.tail", "requests.show"), ("prices.tier", "prices.show")):
        assert names.index(fixed) < names.index(named)

"""Every operation of `spec/openapi.yaml`, tried on a running gateway: status and answer are as the file says."""

import contextlib
import json
import re
import sqlite3
from functools import cache
from urllib.parse import quote

import pytest

from tests.conformance.judges import Judge, own_document
from tests.journeys.gateway import wait_for
from tests.journeys.wire import Client


@cache
def described():
    document = own_document()
    return document, Judge("own", document["components"])


def operations():
    return {(method.upper(), path) for path, item in described()[0]["paths"].items() for method in item}


class Walk:
    """Calls operations by their templates, judges what comes back, and keeps account of what was tried."""

    def __init__(self, url, admin_key):
        self.admin = Client(url, admin_key)
        self.tried = set()

    def call(self, method, template, document=None, *, client=None, query="", headers=None, **fields):
        path = re.sub(r"\{(\w+)\}", lambda found: quote(fields[found[1]], safe="/"), template) + query
        body = None if document is None else json.dumps(document).encode()
        reply = (client or self.admin).request(
            method, path, body, **{"Content_Type": "application/json", **(headers or {})}
        )
        self.tried.add((method, template))
        described_answers = described()[0]["paths"][template][method.lower()]["responses"]
        assert str(reply.status) in described_answers, (template, reply.status, reply.body)
        schema = described_answers[str(reply.status)]["content"]["application/json"]["schema"]
        self.judge(schema, reply, template)
        return reply.json

    def text(self, path):
        """Call what does not answer in JSON."""
        reply = self.admin.get(path)
        self.tried.add(("GET", path))
        described_answer = described()[0]["paths"][path]["get"]["responses"][str(reply.status)]
        assert reply.headers["content-type"].partition(";")[0] in described_answer["content"], path
        assert reply.body, path

    @staticmethod
    def judge(schema, reply, template):
        document, judge = described()
        assert judge.complaints(schema, reply.json) == [], template
        named = schema.get("$ref", "").rpartition("/")[2]
        properties = document["components"]["schemas"].get(named, {}).get("properties")
        assert properties is None or set(reply.json) <= set(properties), template


@pytest.fixture(scope="module")
def walk(server, stub):
    """Every operation once, in an order in which each has something to tell."""
    walk = Walk(server.url, server.admin_key)
    manage = "/api/v1/manage"
    walk.call("GET", f"{manage}/providers/presets")
    spare = {"name": "spare", "kind": "openai", "base_url": stub.url}
    walk.call("POST", f"{manage}/providers", spare)
    walk.call("GET", f"{manage}/providers")
    walk.call("POST", f"{manage}/providers/{{name}}/test", {}, name="spare")
    priced = {"name": "spare/one", "provider": "spare", "tier": "economy", "input_mtok": "1", "output_mtok": "2"}
    model = walk.call("POST", f"{manage}/models", priced)
    walk.call("PATCH", f"{manage}/models/{{name}}", {"description": "Spare"}, name="spare/one")
    walk.call("GET", f"{manage}/models")
    walk.call("GET", f"{manage}/prices")
    walk.call("GET", f"{manage}/prices/{{price_id}}", price_id=model["price"]["price_id"])
    walk.call("PUT", f"{manage}/prices/tiers/{{tier}}", {"usd_per_credit": "0.001"}, tier="economy")

    made = walk.call("POST", f"{manage}/keys", {"name": "walker", "owner": "walker", "project": "p"})
    top_up = {"amount": "10", "owner": "walker"}
    walk.call("POST", f"{manage}/wallets/{{tier}}/top-up", top_up, tier="standard", headers={"Idempotency_Key": "a"})
    adjust = {"amount": "-1", "owner": "walker", "reason": "a test"}
    walk.call("POST", f"{manage}/wallets/{{tier}}/adjust", adjust, tier="standard", headers={"Idempotency_Key": "b"})
    walk.call("GET", f"{manage}/keys")
    walk.call("GET", f"{manage}/keys/{{id}}", id=made["id"])
    walk.call("PATCH", f"{manage}/keys/{{id}}", {"limit_daily": "5"}, id=made["id"])

    budget = {"limit": "5", "window": "month", "zone": "Asia/Tokyo", "project": "p", "each": ["end_user"]}
    walk.call("PUT", f"{manage}/budgets/{{name}}", budget, name="walked")
    walk.call("GET", f"{manage}/budgets")

    caller = Client(server.url, made["api_key"])
    wait_for(lambda: caller.get("/openai/v1/models").status == 200, "the key does not become live")
    asked = {"model": "echo/echo", "messages": [{"role": "user", "content": "hi"}], "user": "u", "metadata": {"a": "b"}}
    run = {"X-JoyToken-Run-Id": "walk"}
    said = walk.call("POST", "/openai/v1/chat/completions", asked, client=caller, headers=run)
    request_id = said["metadata"]["request_id"]
    walk.call("GET", "/openai/v1/models", client=caller)
    walk.call("GET", "/openai/v1/models/{model}", client=caller, model="echo/echo")
    walk.call("GET", "/api/v1/models", client=Client(server.url))
    walk.call("GET", "/api/v1/models/meta", client=caller)
    walk.call("GET", "/api/v1/pricing", client=caller)
    walk.call("GET", "/api/v1/key", client=caller)
    walk.call("GET", "/api/v1/runs/{run_id}", client=caller, run_id="walk")
    walk.call("GET", "/api/v1/requests/{request_id}", client=caller, request_id=request_id)
    walk.call("GET", "/health", client=Client(server.url))
    walk.call("GET", "/ready", client=Client(server.url))
    walk.text("/metrics")

    wait_for(lambda: walk.call("GET", f"{manage}/requests", query=f"?key={made['id']}")["requests"], "not recorded")
    walk.call("GET", f"{manage}/requests/{{id}}", id=request_id)
    walk.call("GET", f"{manage}/runs/{{id}}", id="walk")
    walk.call("GET", f"{manage}/budgets/{{name}}", name="walked")
    walk.call("DELETE", f"{manage}/budgets/{{name}}", name="walked")
    walk.call("GET", f"{manage}/requests/tail")
    walk.call("GET", f"{manage}/usage", query="?by=model,day&zone=Europe/Berlin")
    walk.call("GET", f"{manage}/usage/latency", query="?by=model,hour&zone=Europe/Berlin")
    walk.call("GET", f"{manage}/usage/months")
    walk.call("POST", f"{manage}/usage/drop", {"before": "2026-01"})
    walk.call("GET", f"{manage}/wallets", query="?owner=walker")
    walk.call("GET", f"{manage}/wallets/{{tier}}/statement", tier="standard", query="?owner=walker")
    walk.call("GET", f"{manage}/verify")
    walk.call("POST", f"{manage}/routes/explain", {"model": "auto"})

    walk.call("POST", f"{manage}/keys/{{id}}/rotate", {"overlap": "1h"}, id=made["id"])
    walk.call("POST", f"{manage}/keys/{{id}}/revoke", {}, id=made["id"])
    walk.call("DELETE", f"{manage}/models/{{name}}", name="spare/one")
    walk.call("DELETE", f"{manage}/providers/{{name}}", name="spare")
    walk.call("GET", f"{manage}/audit")
    _walk_credit(walk, manage, request_id)
    _walk_hooks(walk, manage)
    _walk_incidents(walk, manage, server)
    return walk


def _walk_credit(walk, manage, request_id):
    wallet = {"tier": "standard", "query": "?owner=walker"}
    promo = {"amount": "2", "owner": "walker", "category": "promo"}
    walk.call("POST", f"{manage}/wallets/{{tier}}/top-up", promo, tier="standard", headers={"Idempotency_Key": "c"})
    move = {"owner": "walker", "amount": "1", "to_owner": "other", "reason": "a test"}
    walk.call("POST", f"{manage}/wallets/{{tier}}/transfer", move, tier="standard", headers={"Idempotency_Key": "d"})
    walk.call("PUT", f"{manage}/wallets/{{tier}}/threshold", {"owner": "walker", "below": "1"}, tier="standard")
    grants = walk.call("GET", f"{manage}/wallets/{{tier}}/grants", **wallet)["grants"]
    void = next(grant["id"] for grant in grants if grant["category"] == "promo")
    walk.call(
        "POST", f"{manage}/grants/{{id}}/void", {"reason": "a test"}, id=str(void), headers={"Idempotency_Key": "e"}
    )
    refund = {"reason": "a test"}
    walk.call("POST", f"{manage}/requests/{{id}}/refund", refund, id=request_id, headers={"Idempotency_Key": "f"})


def _walk_hooks(walk, manage):
    walk.call("PUT", f"{manage}/webhooks/{{name}}", {"url": "http://127.0.0.1:9/hook"}, name="walked")
    walk.call("GET", f"{manage}/webhooks")
    walk.call("POST", f"{manage}/webhooks/{{name}}/test", {}, name="walked")
    walk.call("GET", f"{manage}/webhooks/deliveries")
    walk.call("DELETE", f"{manage}/webhooks/{{name}}", name="walked")
    made = walk.call("POST", f"{manage}/admin-keys", {"name": "walker"})
    walk.call("GET", f"{manage}/admin-keys")
    walk.call("POST", f"{manage}/admin-keys/{{id}}/revoke", {}, id=made["id"])


def _walk_incidents(walk, manage, server):
    with contextlib.closing(sqlite3.connect(server.data_dir / "joytoken.db", timeout=30)) as database, database:
        database.execute("INSERT INTO incident (at_us, kind, subject, detail) VALUES (1, 'noticed', 'walker', '')")
    (found,) = walk.call("GET", f"{manage}/incidents")["incidents"]
    walk.call("POST", f"{manage}/incidents/{{id}}/close", {}, id=str(found["id"]))


def test_every_operation_answers_as_described(walk):
    assert operations() == walk.tried


@pytest.mark.parametrize(("method", "path"), sorted(operations()))
def test_a_refusal_is_as_described(server, method, path):
    """Nobody is known by this key: what needs one refuses it, in the described shape."""
    known = described()[0]["paths"][path][method.lower()].get("security") == [{}]
    where = re.sub(r"\{tier\}", "standard", re.sub(r"\{(id|name|model|request_id|run_id|price_id)\}", "x", path))
    reply = Client(server.url, "jt_live_wrong").request(method, where, None if method == "GET" else b"{}")
    assert reply.status == (200 if known else 403), reply.body
    if not known:
        document, judge = described()
        answers = document["paths"][path][method.lower()]["responses"]
        refused = answers.get("403", answers["default"])
        assert refused == {"$ref": "#/components/responses/Error"}
        assert (
            judge.complaints({"$ref": "#/components/responses/Error/content/application~1json/schema"}, reply.json)
            == []
        )

"""The contract's public catalog (checks 69 to 74).

Check 72, a catalog whose source is away, cannot be reached from outside: a gateway listens only when it has read its
catalog, and serves what it has read from then on. `tests/api/test_catalog.py` shows the answer.
"""

import pytest

from tests.journeys.gateway import Customer, Gateway
from tests.journeys.stub import Stub
from tests.journeys.wire import Client


@pytest.fixture(scope="module", autouse=True)
def models(server: Gateway, stub: Stub) -> None:
    server.provider("other", stub.url)
    words = {"description": "Writes code", "description_zh": "编写代码"}
    packs = {"scenarios": ["software_development_tools"], "tags": ["lock"]}
    server.model(
        "stub/coder", "stub", "c", tier="standard", features=["code", "tools"], mci_score=71.5, **words, **packs
    )
    server.model("other/dear", "other", "d", tier="premium", vendor="maker", scenarios=["finance"], tags=["spot"])
    server.model("other/off", "other", "o", enabled=False)
    server.sync()


def listed(server: Gateway, query: str = "") -> set[str]:
    reply = Client(server.url).get("/api/v1/models" + query)
    assert reply.status == 200
    assert reply.json["code"] == 0
    keys = {model["modelKey"] for model in reply.json["data"]["models"]}
    return {key for key in keys if not key.startswith("echo")}  # what every gateway has


def test_check_69_without_a_key(server: Gateway):
    reply = Client(server.url).get("/api/v1/models")
    assert (reply.status, reply.json["code"], reply.json["message"]) == (200, 0, "success")
    keys = [model["modelKey"] for model in reply.json["data"]["models"]]
    assert {"stub/plain", "stub/coder", "other/dear"} <= set(keys)
    assert "other/off" not in keys
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param("?tier=standard&feature_tag=code", {"stub/coder"}, id="check_70_both"),
        pytest.param("?tier=premium&feature_tag=code", set(), id="check_70_neither"),
        pytest.param("?tier=premium", {"other/dear"}, id="check_70_tier"),
        pytest.param("?provider=maker", {"other/dear"}, id="check_70_provider"),
        pytest.param("?pack=lock", {"stub/coder"}, id="check_70_pack_is_a_sku"),
        pytest.param("?pack=finance", {"other/dear"}, id="check_70_pack_is_a_scenario"),
        pytest.param("?industry_packs=finance", {"other/dear"}, id="check_70_industry"),
        pytest.param(
            "?industry_packs=finance&industry_packs=software_development_tools",
            {"stub/coder", "other/dear"},
            id="check_70_industries",
        ),
        pytest.param("?tier=gold", set(), id="check_70_unknown_value"),
        pytest.param("?provider=maker&never=heard", {"other/dear"}, id="check_70_unknown_parameter"),
    ],
)
def test_filters(server: Gateway, query, found):
    assert listed(server, query) == found


@pytest.mark.parametrize(
    ("query", "text"),
    [
        pytest.param("", "Writes code", id="check_71_default"),
        pytest.param("&locale=en", "Writes code", id="check_71_en"),
        pytest.param("&locale=zh", "编写代码", id="check_71_zh"),
        pytest.param("&locale=zh-CN", "编写代码", id="check_71_zh_cn"),
        pytest.param("&locale=fr", "Writes code", id="check_71_other"),
    ],
)
def test_languages_and_fields(server: Gateway, query, text):
    (model,) = Client(server.url).get("/api/v1/models?feature_tag=code" + query).json["data"]["models"]
    assert model == {
        "modelId": "stub/coder",
        "modelKey": "stub/coder",
        "displayName": model["displayName"],
        "alias": "",
        "tier": "standard",
        "tags": ["lock"],
        "description": text,
        "customerInputMtok": 100,
        "customerOutputMtok": 200,
        "customerCachereadMtok": 100,
        "customerCachewriteMtok": 100,
        "customerImageInputMtok": "",
        "customerImageOutputMtok": "",
        "customerImageCachedInputMtok": "",
        "provider": model["provider"],
        "featureTags": model["featureTags"],
        "scenarioTags": ["software_development_tools"],
        "mciScore": 71.5,
    }
    assert {"chat", "code", "tools"} == set(model["featureTags"])


@pytest.mark.parametrize("path", ["/api/v1/models/meta", "/api/v1/pricing"], ids=["check_73", "check_74"])
def test_a_key_is_needed(server: Gateway, path):
    reply = Client(server.url).get(path)
    assert (reply.status, reply.error["type"]) == (401, "missing_api_key")


def test_check_73_meta(customer: Customer):
    reply = customer.get("/api/v1/models/meta")
    assert (reply.status, reply.json["code"], reply.json["message"]) == (200, 0, "success")
    data = reply.json["data"]
    assert set(data) == {"tiers", "skus", "featureTags", "industryPacks", "providers", "updatedAt"}
    for name in set(data) - {"updatedAt"}:
        assert all(set(pair) == {"value", "label"} for pair in data[name])
    assert [pair["value"] for pair in data["tiers"]] == ["economy", "standard", "premium"]
    assert {"lock", "spot"} <= {pair["value"] for pair in data["skus"]}
    assert {"finance", "software_development_tools"} <= {pair["value"] for pair in data["industryPacks"]}
    assert "maker" in {pair["value"] for pair in data["providers"]}
    assert data["updatedAt"].endswith("Z")


def test_check_74_pricing(customer: Customer):
    reply = customer.get("/api/v1/pricing")
    assert (reply.status, reply.json["code"]) == (200, 0)
    data = reply.json["data"]
    standard = next(tier for tier in data["tiers"] if tier["code"] == "standard")
    assert (standard["usdPerCredit"], standard["creditsPerUsd"], standard["unit"]) == ("0.002", "500", "USD/Credit")
    assert [tier["sortOrder"] for tier in data["tiers"]] == [1, 2, 3]
    assert set(standard) == {
        "code", "name", "description", "usdPerCredit", "creditsPerUsd", "unit", "rateVersion", "sortOrder", "updatedAt",
    }  # fmt: skip
    assert {"lock", "spot", "auction", "first"} <= {sku["code"] for sku in data["skus"]}
    assert isinstance(data["currentVersion"], str)
    assert data["currentVersion"]

import csv
import io
import json

import pytest

from tests.admin.worlds import CREDIT, paid


def test_summary(joytoken, joytoken_json, desk):
    paid(desk)
    paid(desk, charged=2 * CREDIT, project="=cmd()")
    report = joytoken_json("usage", "summary", "--by", "project", "--zone", "UTC")
    assert [row["charged"] for row in report["rows"]] == ["2.000000", "1.000000"]
    assert report["total"]["charged"] == "3.000000"
    lines = joytoken("usage", "summary", "--by", "model").stdout.splitlines()
    assert lines[1].split("\t")[:2] == ["echo/echo", "2"]
    rows = list(csv.DictReader(io.StringIO(joytoken("usage", "summary", "--by", "project", "--csv").stdout)))
    assert [row["project"] for row in rows] == ["'=cmd()", "blue"]
    assert "is no dimension" in joytoken("usage", "summary", "--by", "colour", code=2).stderr


def test_latency(joytoken, joytoken_json, desk):
    for total_ms in (10.0, 100.0, 1000.0):
        paid(desk, total_ms=total_ms, first_token_ms=total_ms / 2, ending="completed")
    paid(desk, total_ms=90.0, first_token_ms=None, ending="provider_failed")
    total = joytoken_json("usage", "latency")["total"]
    assert (total["requests"], total["errors"], total["first_token"]["requests"]) == (4, 1, 3)
    assert (total["total"]["p50_ms"], total["first_token"]["p99_ms"]) == (
        pytest.approx(90, rel=0.1),
        pytest.approx(500, rel=0.1),
    )
    heads, row = (line.split("\t") for line in joytoken("usage", "latency").stdout.splitlines())
    assert heads == [
        "provider, model",
        "requests",
        "errors",
        "p50",
        "p95",
        "p99",
        "first p50",
        "first p95",
        "first p99",
    ]
    assert row[:3] == ["echo · echo/echo", "4", "1"]
    (row,) = csv.DictReader(io.StringIO(joytoken("usage", "latency", "--by", "day", "--csv", "--zone", "UTC").stdout))
    assert (row["day"], row["requests"]) == ("2026-11-22", "4")
    assert float(row["first_token_p50_ms"]) == pytest.approx(50, rel=0.1)
    assert "are by provider, model, day, hour" in joytoken("usage", "latency", "--by", "key", code=2).stderr


def test_export(joytoken, desk, monkeypatch):
    monkeypatch.setattr("joytoken.cli.usage.PAGE_MAX", 2)
    ids = [paid(desk).request_id for _ in range(5)]
    lines = [json.loads(line) for line in joytoken("usage", "export", "--json").stdout.splitlines()]
    assert [line["request_id"] for line in lines] == ids
    rows = list(csv.DictReader(io.StringIO(joytoken("usage", "export", "--csv").stdout)))
    assert [row["charged"] for row in rows] == ["1.000000"] * 5
    assert list(csv.reader(io.StringIO(joytoken("usage", "export", "--csv", "--project", "none").stdout)))[1:] == []


def test_drop(joytoken, joytoken_json, desk):
    paid(desk)
    paid(desk, started_us=1_700_000_000_000_000)
    assert (
        "Drop 1 requests of 2023-11" in joytoken("usage", "drop", "--before", "2024-01", code=130, stdin="n\n").stderr
    )
    assert joytoken_json("wallet", "verify")["records"] == 2
    assert joytoken_json("usage", "drop", "--before", "2024-01", "--yes")["months"] == [
        {"month": "2023-11", "requests": 1}
    ]
    assert joytoken_json("wallet", "verify")["records"] == 1
    assert "0 months dropped" in joytoken("usage", "drop", "--before", "2024-01").stderr
    assert "not a month" in joytoken("usage", "drop", "--before", "soon", "--yes", code=2).stderr
    there = joytoken_json("usage", "months")["months"]
    assert [(month["month"], month["requests"], month["dropped"] is None) for month in there] == [
        ("2023-11", 1, False), ("2026-11", 1, True),
    ]  # fmt: skip
    head, *rows = [line.split("\t") for line in joytoken("usage", "months").stdout.splitlines()]
    assert head == ["month", "requests", "bytes", "first", "last", "dropped"]
    assert rows[0][:4] == ["2023-11", "1", "", "2023-11-14T22:13:20.000Z"]

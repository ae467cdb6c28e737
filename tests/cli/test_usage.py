import csv
import io
import json

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


def test_export(joytoken, desk, monkeypatch):
    monkeypatch.setattr("joytoken.cli.usage.PAGE_MAX", 2)
    ids = [paid(desk).request_id for _ in range(5)]
    lines = [json.loads(line) for line in joytoken("usage", "export", "--json").stdout.splitlines()]
    assert [line["request_id"] for line in lines] == ids
    rows = list(csv.DictReader(io.StringIO(joytoken("usage", "export", "--csv").stdout)))
    assert [row["charged"] for row in rows] == ["1.000000"] * 5
    assert list(csv.reader(io.StringIO(joytoken("usage", "export", "--csv", "--project", "none").stdout)))[1:] == []

"""The figures of a worker, for Prometheus."""

import re

import pytest
from starlette.applications import Starlette

from joytoken.api.metrics import exposition, metrics_route
from joytoken.domain.errors import MissingKey
from joytoken.escrow.terms import EscrowStats
from joytoken.gateway.sizing import Sizing
from tests.api.asgi_client import ask

LINE = re.compile(r'(?:# (?:HELP|TYPE) \w+ .+|\w+\{(?:\w+="[^"]*",?)*\} (?:\d+(?:\.\d+)?|\+Inf))')


def stats():
    values = dict.fromkeys(EscrowStats.__struct_fields__, 0)
    return EscrowStats(**values | {"state": "open", "worker": 'a"b:0', "holds": 7, "flush_age_s": 0.25})


@pytest.fixture
def sizing():
    made = Sizing()
    for held in (1, 3, 4, 2000):
        made.asked.observe(held, 1)
    return made


def test_every_line_is_as_the_format_has_it(sizing):
    lines = "".join(exposition(sizing, stats())).splitlines()
    # The one worker's name has a quotation mark in it, which must not end its label.
    assert all(LINE.fullmatch(line.replace(r"\"", "")) for line in lines), lines
    found = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert len(found) == len([line for line in lines if not line.startswith("#")])
    assert found[r'joytoken_escrow_holds_total{worker="a\"b:0"}'] == "7"
    assert found[r'joytoken_escrow_flush_age_s{worker="a\"b:0"}'] == "0.25"
    asked = r'joytoken_hold_to_charge_ratio_bucket{worker="a\"b:0",bound="asked",le="%s"}'
    assert [found[asked % edge] for edge in ("1", "2", "4", "1024", "+Inf")] == ["1", "1", "3", "3", "4"]
    assert found[r'joytoken_hold_to_charge_ratio_sum{worker="a\"b:0",bound="asked"}'] == "2008.0"
    assert found[r'joytoken_hold_to_charge_ratio_sum{worker="a\"b:0",bound="default"}'] == "0.0"
    assert found[r'joytoken_hold_to_charge_ratio_quantile{worker="a\"b:0",bound="asked",quantile="0.5"}'] == "4"
    assert found[r'joytoken_hold_held_nanocredits_total{worker="a\"b:0",bound="asked"}'] == "2008"
    assert not any('bound="default",quantile' in name for name in found)


async def test_who_may_read_it(sizing):
    async def nobody(_):
        raise MissingKey("no")

    found = await ask(Starlette(routes=[metrics_route(sizing, stats, None)]), "/metrics")
    assert found.status == 200
    assert found.headers["content-type"].startswith("text/plain; version=0.0.4")
    with pytest.raises(MissingKey):
        await ask(Starlette(routes=[metrics_route(sizing, stats, nobody)]), "/metrics")

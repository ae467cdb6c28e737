"""`docs/usage-and-billing.md` tells of money what the arithmetic, the rules and the proof do."""

import re
from pathlib import Path

from joytoken.domain.ending import RULES
from joytoken.domain.money import format_amount, parse_amount
from joytoken.domain.price import Price, Rates
from joytoken.domain.record import UsageRecord, close_record
from joytoken.domain.usage import Usage
from joytoken.store.usage_query import DIMENSIONS
from joytoken.store.verify import CHECKS

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "usage-and-billing.md").read_text(encoding="utf-8")


def test_the_table_of_endings_is_the_rules():
    section = TEXT.partition("\n## Endings\n")[2].partition("\n## ")[0]
    assert dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE)) == RULES


def test_the_example_is_right_to_the_nanocredit():
    section = TEXT.partition("\n### An example")[2].partition("\n## ")[0]
    words = " ".join(section.split())
    rates = re.search(r"at ([\d.]+) credits .*? of input, ([\d.]+) of cached input, and ([\d.]+) of output", words)
    bounds = re.search(r"bounded by ([\d,]+) tokens, .*? at most ([\d,]+) tokens of output", words)
    used = re.search(r"reports ([\d,]+) input tokens, ([\d,]+) of them cached, and ([\d,]+) output tokens", words)
    shown = dict(re.findall(r"^\| ([\w ]+) \| [^|]+ \| ([\d.]+) \|$", section, re.MULTILINE))
    tokens_in, cached, tokens_out = (int(text.replace(",", "")) for text in used.groups())
    input_bound, output_bound = (int(text.replace(",", "")) for text in bounds.groups())
    price_in, price_cached, price_out = (parse_amount(text) for text in rates.groups())

    price = Price("price-example", Rates(price_in, price_out, cache_read=price_cached))
    hold = price.hold_amount(input_bound, output_bound)
    charge = price.charge(Usage(tokens_in, tokens_out, cached_input_tokens=cached))
    record = UsageRecord("req-example", usd_per_credit=parse_amount("0.002"))
    close_record(record, charge, 0)
    assert shown["hold"] == format_amount(hold)
    assert shown["charge"] == format_amount(charge)
    assert shown["release"] == format_amount(hold - charge)
    assert shown["in US dollars"] == format_amount(record.charged_usd)
    # The parts are exact, and have more decimals than a charge: they are summed first and rounded then.
    parts = {"uncached input": (tokens_in - cached) * price_in, "cached input": cached * price_cached}
    parts["output"] = tokens_out * price_out
    for name, exact in parts.items():
        whole, _, decimals = shown[name].partition(".")
        assert int(whole + decimals.ljust(15, "0")) == exact, name
    assert -(-sum(parts.values()) // 10**6) == charge


def test_every_dimension_is_named():
    assert not [name for name in DIMENSIONS if f"`{name}`" not in TEXT]


def test_every_check_of_the_proof_is_shown():
    assert not [name for name, _ in CHECKS if f"{name} yes holds" not in TEXT]

import re

import msgspec
import pytest

from joytoken.config.fields import SHORT_NAMES, env_names, fields, sections
from joytoken.config.settings import Settings


@pytest.mark.parametrize("field", fields().values(), ids=str)
def test_every_setting_has_help_and_a_default_of_its_own_type(field):
    assert field.help.endswith(".")
    assert msgspec.convert(field.default, field.hint) == field.default


def test_every_field_of_every_section_is_listed():
    listed = {section: {name for name in fields() if fields()[name].path[:-1] == section} for section, _ in sections()}
    for section, struct in sections():
        own = {".".join((*section, name)) for name in struct.__struct_fields__}
        assert listed[section] == own - {".".join(path) for path, _ in sections()}


def test_environment_names_are_unambiguous():
    assert len({field.env for field in fields().values()}) == len(fields())
    assert set(SHORT_NAMES.values()) <= set(fields())
    assert env_names()["JOY_TOKEN_UPSTREAM_FIRST_BYTE_MS"] == "upstream.first_byte_ms"


@pytest.mark.parametrize(
    ("name", "unit"),
    (
        ("server.head_ms", "ms"),
        ("server.body_bytes_max", "bytes"),
        ("money.starter_credits", "credits"),
        ("money.usd_per_credit.economy", "US dollars"),
        ("gateway.idempotency_hours", "h"),
        ("server.port", ""),
    ),
)
def test_the_unit_is_told_by_the_name(name, unit):
    assert fields()[name].unit == unit


def test_a_limit_names_its_unit():
    for name, field in fields().items():
        if field.kind == "integer" and re.search(r"_(ms|bytes|tokens|chars)(_|$)", name):
            assert field.unit, name


def test_settings_cannot_be_changed():
    with pytest.raises(AttributeError):
        Settings().server.port = 1

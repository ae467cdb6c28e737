"""Dimensions by name, and the one expression that differs by database."""

import pytest
from sqlalchemy.dialects import postgresql

from joytoken.domain.errors import InvalidRequest
from joytoken.store.usage_query import DIMENSIONS, dimension, tag_value


@pytest.mark.parametrize("name", [name for name in DIMENSIONS if name not in {"day", "hour"}] + ["tag:team"])
def test_known_dimensions(name):
    assert dimension(name, "sqlite") is not None


@pytest.mark.parametrize("name", ["", "charged", "tag:", "tag", "Model", "model; DROP TABLE usage_record"])
def test_unknown_dimensions(name):
    with pytest.raises(InvalidRequest) as refused:
        dimension(name, "sqlite")
    assert refused.value.code == "unknown_dimension"


def test_postgresql_reads_tags_by_its_own_operator():
    text = str(tag_value("team", "postgresql").compile(dialect=postgresql.dialect()))
    assert "->>" in text
    assert "json_each" not in text

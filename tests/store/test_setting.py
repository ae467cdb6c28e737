"""Settings, and the count of changes."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from joytoken.store.schema import GENERATION
from joytoken.store.setting import Settings, raise_generation


def test_a_value_is_kept(database):
    settings = Settings(database)
    assert settings.get("theme") is None
    settings.put("theme", "dark")
    settings.put("theme", "light")
    assert settings.get("theme") == "light"


def test_the_generation_counts_changes_and_nothing_else(database):
    settings = Settings(database)
    seen = [settings.generation()]
    for name, value in (("a", "1"), ("a", "1"), ("a", "2"), ("b", "2"), ("b", "2")):
        settings.put(name, value)
        seen.append(settings.generation())
    assert seen == [0, 1, 1, 2, 3, 3]


def test_the_generation_is_not_set(database):
    with pytest.raises(ValueError, match="counted"):
        Settings(database).put(GENERATION, "7")


def test_a_change_undone_is_no_change(database):
    def fail():
        with database.write(durable=False) as conn:
            assert raise_generation(conn) == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert Settings(database).generation() == 0


def test_no_change_is_lost_among_eight_threads(database):
    settings = Settings(database)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: settings.put(f"s{n}", "x"), range(40)))
    assert settings.generation() == 40

"""Keys come back as they went in, and every change of one is seen by who asks what changed."""

from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from joytoken.domain.apikey import Labels, Policy, Secret
from joytoken.domain.errors import Conflict, NotFound
from joytoken.store import schema
from joytoken.store.keys import Keys
from joytoken.store.setting import Settings
from tests.store import making

A, B, C = (Secret(bytes([n]) * 32, f"jt_live_{n}", making.NOON_US + n) for n in range(3))


@pytest.fixture
def keys(database):
    return Keys(database)


@pytest.fixture
def generation(database):
    return Settings(database).generation


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(data=st.tuples(making.api_keys, making.api_keys))
def test_any_key_comes_back_as_it_went(database, data):
    keys = Keys(database)
    with database.write(durable=False) as conn:
        conn.execute(sa.delete(schema.key_secret))
        conn.execute(sa.delete(schema.keys))
    key, other = data
    stored = keys.add(key)
    assert stored == msgspec.structs.replace(key, generation=stored.generation)
    assert keys.get(key.key_id) == stored
    assert all(keys.by_digest(secret.digest) == stored for secret in key.secrets)
    changed = keys.save(msgspec.structs.replace(other, key_id=key.key_id))
    assert keys.get(key.key_id) == changed
    assert (changed.policy, changed.labels, changed.name) == (other.policy, other.labels, other.name)
    assert (changed.secrets, changed.created_us) == (key.secrets, key.created_us)


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "second"},
        {"owner_id": "other"},
        {"organisation": "other"},
        {"labels": Labels("other")},
        {"policy": Policy(blocked=True)},
        {"status": "revoked"},
        {"expires_us": 5},
    ],
)
def test_each_change_raises_the_generation_once(keys, generation, changes):
    key = keys.add(making.key())
    assert key.generation == generation() == 1
    changed = keys.save(msgspec.structs.replace(key, **changes))
    assert changed.generation == generation() == 2
    assert keys.save(changed) == changed
    assert keys.save(msgspec.structs.replace(changed, generation=77, secrets=(A,))) == changed
    assert generation() == 2


def test_what_changed_since(keys):
    for name in ("key-1", "key-2", "key-3"):
        keys.add(making.key(name))
    assert [key.key_id for key in keys.changed_since(0)[1]] == ["key-1", "key-2", "key-3"]
    assert keys.changed_since(3) == (3, [])
    keys.add_secret("key-2", A)
    now, changed = keys.changed_since(3)
    assert (now, [(key.key_id, key.secrets) for key in changed]) == (4, [("key-2", (A,))])
    keys.save(making.key("key-1", status="revoked"))
    now, changed = keys.changed_since(4)
    assert (now, [(key.key_id, key.status) for key in changed]) == (5, [("key-1", "revoked")])


def test_rotation_retires_the_older_secrets(keys):
    early = msgspec.structs.replace(B, expires_us=100)
    keys.add(making.key(secrets=(A, early)))
    rotated = keys.add_secret("key-1", C, retire_others_us=500)
    assert [secret.expires_us for secret in rotated.secrets] == [500, 100, None]
    assert rotated.secrets[-1] == C
    assert keys.get("key-1") == rotated == keys.by_digest(A.digest)


def test_a_secret_beside_the_others(keys):
    keys.add(making.key(secrets=(A,)))
    assert keys.add_secret("key-1", B).secrets == (A, B)


def test_refusals_change_nothing(keys, generation):
    keys.add(making.key(secrets=(A,)))
    cases = [
        (Conflict, lambda: keys.add(making.key())),
        (Conflict, lambda: keys.add(making.key("key-2", secrets=(B, A)))),
        (Conflict, lambda: keys.add_secret("key-1", A, retire_others_us=1)),
        (NotFound, lambda: keys.save(making.key("key-9"))),
        (NotFound, lambda: keys.add_secret("key-9", B)),
    ]
    for error, act in cases:
        with pytest.raises(error):
            act()
    assert generation() == 1
    assert keys.get("key-2") is None
    assert keys.by_digest(B.digest) is None
    assert keys.get("key-1").secrets == (A,)


def test_the_list(keys):
    keys.add(making.key("key-2", created_us=1))
    keys.add(making.key("key-1", created_us=2, status="revoked", secrets=(A,)))
    assert [(key.key_id, key.secrets) for key in keys.list()] == [("key-2", ()), ("key-1", (A,))]
    assert [key.key_id for key in keys.list(include_revoked=False)] == ["key-2"]


def test_administrators(keys, generation):
    assert keys.admins() == []
    keys.add_admin(b"b" * 32, "jt_admin_b", 2)
    keys.add_admin(b"a" * 32, "jt_admin_a", 3)
    with pytest.raises(Conflict):
        keys.add_admin(b"a" * 32, "jt_admin_a", 4)
    assert keys.admins() == [b"b" * 32, b"a" * 32]
    assert generation() == 2


def test_eight_threads_add_and_every_key_is_seen_once(keys):
    def add(number):
        return keys.add(making.key(f"key-{number}", secrets=(Secret(number.to_bytes(32), "", 0),))).generation

    with ThreadPoolExecutor(8) as pool:
        given_out = list(pool.map(add, range(40)))
    assert sorted(given_out) == list(range(1, 41))
    now, changed = keys.changed_since(20)
    assert now == 40
    assert sorted(key.generation for key in changed) == list(range(21, 41))

"""Keys in memory: found by their digest, changed between two requests."""

import msgspec
import pytest

from joytoken.domain.apikey import Policy, Secret
from joytoken.domain.errors import RateLimited
from joytoken.domain.ids import secret_digest
from joytoken.gateway.keyring import Keyring, Principal
from joytoken.gateway.limiter import Limiter
from joytoken.gateway.windows import Windows
from tests.gateway.worlds import NOW_US, PEPPER, a_key

DAY_US = 86_400 * 1_000_000


@pytest.fixture
def keyring():
    return Keyring(PEPPER, Windows("UTC"))


def secret(text, expires_us=None):
    return Secret(secret_digest(text, PEPPER), "…", 1, expires_us)


def test_a_key_is_found_by_its_secret_alone(keyring):
    keyring.take_over(1, [a_key("ann")])
    assert keyring.find(keyring.digest(b"ann"), NOW_US).key.name == "ann"
    for other in (b"", b"Ann", b"ann ", b"key-ann", secret_digest(b"ann", PEPPER)):
        assert keyring.find(keyring.digest(other), NOW_US) is None
    assert len(keyring) == 1


def test_a_revoked_key_is_gone(keyring):
    keyring.take_over(1, [a_key("ann"), a_key("bob")])
    keyring.take_over(2, [a_key("ann", status="revoked")])
    assert keyring.find(keyring.digest(b"ann"), NOW_US) is None
    assert keyring.find(keyring.digest(b"bob"), NOW_US) is not None
    assert (len(keyring), keyring.generation) == (1, 2)


def test_an_expired_key_is_refused_from_its_moment_on(keyring):
    keyring.take_over(1, [a_key("ann", expires_us=NOW_US)])
    assert keyring.find(keyring.digest(b"ann"), NOW_US - 1) is not None
    assert keyring.find(keyring.digest(b"ann"), NOW_US) is None


def test_a_rotation_lets_both_secrets_in_until_the_older_ends(keyring):
    keyring.take_over(1, [a_key("ann", secrets=(secret(b"old", NOW_US), secret(b"new")))])
    assert keyring.find(b"old", NOW_US - 1) is keyring.find(b"new", NOW_US - 1)
    assert keyring.find(keyring.digest(b"old"), NOW_US) is None
    assert keyring.find(keyring.digest(b"new"), NOW_US) is not None
    keyring.take_over(2, [a_key("ann", secrets=(secret(b"new"),))])
    assert keyring.find(b"old", NOW_US - 1) is None


def test_the_earlier_end_of_secret_and_key_counts(keyring):
    keyring.take_over(1, [a_key("ann", secrets=(secret(b"ann", NOW_US + 5),), expires_us=NOW_US)])
    assert keyring.find(keyring.digest(b"ann"), NOW_US) is None


def test_a_changed_policy_keeps_what_was_used_of_the_rates(keyring):
    keyring.take_over(1, [a_key("ann", requests_per_minute=1)])
    before = keyring.find(keyring.digest(b"ann"), NOW_US)
    before.limiter.enter(100.0, 0)
    keyring.take_over(2, [a_key("ann", requests_per_minute=1, concurrency=9)])
    after = keyring.find(keyring.digest(b"ann"), NOW_US)
    assert after is not before
    assert after.limiter is before.limiter
    with pytest.raises(RateLimited):
        after.limiter.enter(100.0, 0)


@pytest.mark.parametrize(
    ("allowed", "tier", "tiers"),
    [
        ((), None, ("economy", "standard", "premium")),
        (("premium", "economy"), None, ("premium", "economy")),
        ((), "standard", ("standard",)),
        (("economy",), "standard", ()),
    ],
)
def test_the_tiers_of_a_key(allowed, tier, tiers):
    key = a_key("ann")
    key = msgspec.structs.replace(key, policy=Policy(allowed_tiers=allowed, tier=tier))
    assert Principal(key, Windows("UTC"), Limiter()).tiers == tiers


def test_quotas_are_accounts_of_the_day_and_the_week():
    principal = Principal(a_key("ann", limit_daily=5, limit_weekly=9), Windows("UTC"), Limiter())
    first, later = principal.quotas(NOW_US), principal.quotas(NOW_US + DAY_US)
    assert [(want.account, want.limit) for want in first] == [
        ("quota:key-ann:D:2026-09-21", 5),
        ("quota:key-ann:W:2026-W39", 9),
    ]
    assert [want.account for want in later] == ["quota:key-ann:D:2026-09-22", "quota:key-ann:W:2026-W39"]
    assert principal.quotas(NOW_US) == first
    assert Principal(a_key("bob"), Windows("UTC"), Limiter()).quotas(NOW_US) == ()


def test_wallets_are_the_owners():
    principal = Principal(a_key("ann", owner="acme"), Windows("UTC"), Limiter())
    assert principal.wallets["premium"].account == "wallet:acme:premium"

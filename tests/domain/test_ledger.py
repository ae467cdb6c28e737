"""An account's name tells what it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joytoken.domain.ledger import PLATFORM_ACCOUNTS, account_kind, quota_account, wallet_account
from joytoken.domain.tier import TIERS

names = st.text(st.characters(exclude_characters=":"), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("account", "kind"),
    [
        (wallet_account("ann", "standard"), "wallet"),
        (quota_account("key-1", "D:2026-11-22"), "quota"),
        (quota_account("key-1", "W:2026-W47"), "quota"),
        *[(account, "platform") for account in PLATFORM_ACCOUNTS],
    ],
)
def test_kinds(account, kind):
    assert account_kind(account) == kind


def test_names_read_as_documented():
    assert wallet_account("ann", "premium") == "wallet:ann:premium"
    assert quota_account("key-1", "D:2026-11-22") == "quota:key-1:D:2026-11-22"


@given(names, names, st.sampled_from(TIERS), st.sampled_from(TIERS))
def test_no_two_wallets_share_an_account(owner, other, tier, other_tier):
    same = wallet_account(owner, tier) == wallet_account(other, other_tier)
    assert same == ((owner, tier) == (other, other_tier))


@given(names, names)
def test_no_two_keys_share_a_quota(key, other):
    assert (quota_account(key, "D:2026-11-22") == quota_account(other, "D:2026-11-22")) == (key == other)

"""Ids are made of what is handed in; a credential's checksum catches typing errors."""

import string
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from joytoken.domain.ids import (
    ADMIN_PREFIX,
    KEY_PREFIX,
    billing_id,
    make_secret,
    request_id,
    request_time_ms,
    secret_digest,
    secret_hint,
    uuid7_hex,
    well_formed,
)

moments = st.integers(0, 2**48 - 1)
entropy = st.integers(0, 2**80 - 1)
seeds = st.binary(min_size=32, max_size=32)
prefixes = st.sampled_from((KEY_PREFIX, ADMIN_PREFIX))


@given(moments, entropy)
def test_a_uuid7_says_when_it_was_made(time_ms, random):
    text = uuid7_hex(time_ms, random)
    made = uuid.UUID(hex=text)
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == time_ms
    assert text == made.hex


@given(moments, entropy)
def test_a_request_id_tells_its_time(time_ms, random):
    assert request_time_ms(request_id(time_ms, random)) == time_ms


@pytest.mark.parametrize("text", ["", "req-", "mine", "req-" + "0" * 32, "req-" + "f" * 32, "bill-" + "0" * 32])
def test_another_id_tells_no_time(text):
    assert request_time_ms(text) is None


@given(moments, moments, entropy, entropy)
def test_later_ids_sort_behind_earlier_ones(one_ms, other_ms, one_random, other_random):
    one, other = request_id(one_ms, one_random), request_id(other_ms, other_random)
    if one_ms != other_ms:
        assert (one < other) == (one_ms < other_ms)


@given(moments, entropy, entropy)
def test_ids_of_one_moment_differ_by_their_entropy(time_ms, one, other):
    kept = 0x0FFF_3FFF_FFFF_FFFF_FFFF  # bits of entropy that are kept: beside the version and the variant
    same = one & kept == other & kept
    assert (uuid7_hex(time_ms, one) == uuid7_hex(time_ms, other)) == same


@given(moments, entropy)
def test_a_billing_id_follows_from_its_request(time_ms, random):
    request = request_id(time_ms, random)
    assert request.startswith("req-")
    assert billing_id(request) == billing_id(request)
    assert len(billing_id(request)) == len("bill-") + 32


@given(prefixes, seeds)
def test_a_secret_is_well_formed_under_its_own_prefix_alone(prefix, seed):
    secret = make_secret(prefix, seed)
    assert well_formed(secret, prefix)
    assert not well_formed(secret, KEY_PREFIX if prefix == ADMIN_PREFIX else ADMIN_PREFIX)


@given(seeds, st.data())
def test_any_changed_character_is_noticed(seed, data):
    secret = make_secret(KEY_PREFIX, seed)
    at = data.draw(st.integers(0, len(secret) - 1))
    other = data.draw(st.sampled_from(string.printable + "é…").filter(lambda c: c != secret[at]))
    assert not well_formed(secret[:at] + other + secret[at + 1 :], KEY_PREFIX)


def test_every_single_change_of_one_secret_is_noticed():
    secret = make_secret(KEY_PREFIX, bytes(range(32)))
    digits = string.ascii_letters + string.digits
    changes = 0
    for at, right in enumerate(secret):
        for wrong in digits:
            if wrong != right:
                assert not well_formed(secret[:at] + wrong + secret[at + 1 :], KEY_PREFIX)
                changes += 1
    assert changes > 3_000


@given(seeds, st.data())
def test_two_neighbours_that_changed_places_are_noticed(seed, data):
    secret = make_secret(KEY_PREFIX, seed)
    at = data.draw(st.integers(0, len(secret) - 2))
    swapped = secret[:at] + secret[at + 1] + secret[at] + secret[at + 2 :]
    assert well_formed(swapped, KEY_PREFIX) == (swapped == secret)


@given(seeds, st.integers(1, 60))
def test_a_truncated_paste_is_noticed(seed, kept):
    secret = make_secret(KEY_PREFIX, seed)
    assert not well_formed(secret[:-1], KEY_PREFIX)
    assert not well_formed(secret[: min(kept, len(secret) - 1)], KEY_PREFIX)
    assert not well_formed(secret + "0", KEY_PREFIX)


@given(seeds, seeds)
def test_other_bytes_make_another_secret(one, other):
    assert (make_secret(KEY_PREFIX, one) == make_secret(KEY_PREFIX, other)) == (one == other)


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_secret_has_256_bits(size):
    with pytest.raises(ValueError):
        make_secret(KEY_PREFIX, bytes(size))


def test_a_digest_depends_on_secret_and_pepper():
    digests = {secret_digest(s, p) for s in (b"a", b"b") for p in (b"p", b"q")}
    assert len(digests) == 4
    assert {len(digest) for digest in digests} == {32}


def test_a_hint_shows_seven_characters():
    secret = make_secret(KEY_PREFIX, bytes(32))
    hint = secret_hint(secret)
    assert hint == secret[:11] + "…" + secret[-4:]
    assert len(hint) < len(secret) / 3

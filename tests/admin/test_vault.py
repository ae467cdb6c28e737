import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from joytoken.admin.vault import SECRET_FILE, Vault, VaultError, open_vault, secret_is_private


def test_the_secret_is_made_once_and_for_its_owner_alone(tmp_path):
    made = open_vault(tmp_path / "data")
    assert open_vault(tmp_path / "data").pepper == made.pepper
    assert stat.S_IMODE((tmp_path / "data" / SECRET_FILE).stat().st_mode) == 0o600
    assert secret_is_private(tmp_path / "data")
    assert [path.name for path in (tmp_path / "data").iterdir()] == [SECRET_FILE]


def test_all_who_start_at_once_get_the_same_secret(tmp_path):
    with ThreadPoolExecutor(16) as threads:
        peppers = set(threads.map(lambda _: open_vault(tmp_path).pepper, range(64)))
    assert len(peppers) == 1


def test_what_was_sealed_opens_under_the_same_secret_for_the_same_owner():
    vault = Vault(b"a" * 32)
    sealed = vault.seal("sk-123", "openai")
    assert b"sk-123" not in sealed
    assert vault.seal("sk-123", "openai") != sealed
    assert vault.open(sealed, "openai") == "sk-123"


@pytest.mark.parametrize(
    ("secret", "owner", "change"),
    (
        (b"b" * 32, "openai", lambda sealed: sealed),
        (b"a" * 32, "groq", lambda sealed: sealed),
        (b"a" * 32, "openai", lambda sealed: sealed[:-1] + bytes([sealed[-1] ^ 1])),
        (b"a" * 32, "openai", lambda sealed: b"\x02" + sealed[1:]),
        (b"a" * 32, "openai", lambda _: b""),
        (b"a" * 32, "openai", lambda sealed: sealed[:5]),
    ),
)
def test_anything_else_does_not_open(secret, owner, change):
    sealed = Vault(b"a" * 32).seal("sk-123", "openai")
    with pytest.raises(VaultError):
        Vault(secret).open(change(sealed), owner)


@pytest.mark.parametrize("content", ("", "zz", "ab" * 31, "é"))
def test_a_damaged_secret_is_named(tmp_path, content):
    (tmp_path / SECRET_FILE).write_text(content)
    with pytest.raises(VaultError, match="secret"):
        open_vault(tmp_path)


def test_digests_and_seals_use_different_keys():
    assert Vault(b"a" * 32).pepper != b"a" * 32
    assert Vault(b"a" * 32).pepper != Vault(b"b" * 32).pepper

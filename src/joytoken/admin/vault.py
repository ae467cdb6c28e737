"""The data folder's secret, and what is derived from it: the pepper of credentials, and the seal of provider keys.

Whoever has the secret and the database can open sealed provider keys; either one alone is worth nothing. A lost secret
makes every key and every sealed credential useless, so it belongs into the backup of the data folder.
"""

import hmac
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SECRET_FILE = "secret"
_SECRET_BYTES = 32
_NONCE_BYTES = 12
_SEAL_VERSION = b"\x01"


class VaultError(Exception):
    """The secret is missing, damaged or readable by others, or a sealed text was made under another one."""


class Vault:
    """The secret of one data folder."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != _SECRET_BYTES:
            raise VaultError(f"the secret must have {_SECRET_BYTES} bytes, not {len(secret)}")
        self.pepper = hmac.digest(secret, b"joytoken credential digests", "sha256")
        self._cipher = AESGCM(hmac.digest(secret, b"joytoken provider credentials", "sha256"))

    def seal(self, text: str, owner: str) -> bytes:
        """Encrypt a credential so that it opens only under this secret and for the same owner, a provider's name."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _SEAL_VERSION + nonce + self._cipher.encrypt(nonce, text.encode(), owner.encode())

    def open(self, sealed: bytes, owner: str) -> str:
        """Decrypt what `seal` made. Raises VaultError where the secret or the owner is another, or a byte changed."""
        if sealed[:1] != _SEAL_VERSION:
            raise VaultError("the sealed credential has an unknown format")
        nonce, text = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, text, owner.encode()).decode()
        except (InvalidTag, ValueError) as error:
            raise VaultError("the credential was sealed under another secret; set it again") from error


def open_vault(data_dir: Path) -> Vault:
    """The vault of a data folder; the secret is made on first use, readable by its owner alone.

    Two processes that start at once get the same secret: the file appears under its name complete, or not at all.
    Raises VaultError where the file cannot be used.
    """
    path = data_dir / SECRET_FILE
    if not path.exists():
        _make(path)
    try:
        text = path.read_text(encoding="ascii").strip()
        return Vault(bytes.fromhex(text))
    except (OSError, ValueError) as error:
        raise VaultError(f"{path} cannot be used: {error}; restore it from a backup of the data folder") from error


def secret_is_private(data_dir: Path) -> bool:
    """Whether nobody but its owner can read the secret."""
    return (data_dir / SECRET_FILE).stat().st_mode & 0o077 == 0


def _make(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_SECRET_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(made, path)  # fails where another process was first, and then its secret counts
        except FileExistsError:
            return
    finally:
        made.unlink()

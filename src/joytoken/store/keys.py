"""Keys with their policies and secrets, and the administrators' credentials."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec
import sqlalchemy as sa

from joytoken.domain.apikey import ApiKey, Labels, Policy, Secret
from joytoken.domain.errors import Conflict, NotFound
from joytoken.store.engine import Database, retried
from joytoken.store.postgres import Turn
from joytoken.store.schema import admin_secret, key_secret, keys
from joytoken.store.setting import generation, raise_generation

# `Keys.list` takes the name of the type within its class.
KeyList = list[ApiKey]
DigestList = list[bytes]


class AdminKey(msgspec.Struct, frozen=True):
    """An administrator's credential, as far as it is kept."""

    digest: bytes
    name: str
    hint: str
    created_us: int
    revoked_us: int | None

    @property
    def id(self) -> str:
        """What names it: of the digest as much as tells it apart, and nothing that opens anything."""
        return f"adm-{self.digest[:6].hex()}"


AdminList = list[AdminKey]
_LABELS = ("project", "application", "environment", "task")
_decode_policy = msgspec.json.Decoder(Policy).decode


class Keys:
    """The tables of keys. A key is never deleted, only revoked: its usage names it for ever."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @retried
    def add(self, key: ApiKey) -> ApiKey:
        """Insert a key with its secrets; returns it with its generation. Raises Conflict: id or digest is taken."""
        with self._database.write(durable=True, turn=Turn.CONFIGURATION) as conn:
            if _row(conn, key.key_id) is not None:
                raise Conflict(f"a key {key.key_id} exists already", "key_exists", param="key_id")
            for secret in key.secrets:
                _refuse_known_digest(conn, secret.digest)
            made = msgspec.structs.replace(key, generation=raise_generation(conn))
            conn.execute(sa.insert(keys).values(_key_values(made)))
            for position, secret in enumerate(made.secrets):
                _insert_secret(conn, made.key_id, position, secret)
            return made

    def get(self, key_id: str) -> ApiKey | None:
        """The key of this id, revoked or not."""
        with self._database.read() as conn:
            return _key(conn, key_id)

    def by_digest(self, digest: bytes) -> ApiKey | None:
        """The key that this secret's digest belongs to, whatever the state of either."""
        with self._database.read() as conn:
            found = conn.execute(
                sa.select(key_secret.c.key_id).where(key_secret.c.digest == digest)
            ).scalar_one_or_none()
            return None if found is None else _key(conn, found)

    def list(self, *, include_revoked: bool = True) -> KeyList:
        """All keys, oldest first."""
        condition = sa.true() if include_revoked else keys.c.status != "revoked"
        with self._database.read() as conn:
            return _keys_where(conn, condition)

    @retried
    def save(self, key: ApiKey) -> ApiKey:
        """Write everything of a key but its secrets (see `add_secret`) and its time of creation.

        The generation rises where something changed. Returns the key as it is now. Raises NotFound.
        """
        with self._database.write(durable=True, turn=Turn.CONFIGURATION) as conn:
            stored = _existing(conn, key.key_id)
            wanted = msgspec.structs.replace(
                key, secrets=stored.secrets, generation=stored.generation, created_us=stored.created_us
            )
            if wanted == stored:
                return stored
            made = msgspec.structs.replace(wanted, generation=raise_generation(conn))
            conn.execute(sa.update(keys).where(keys.c.key_id == key.key_id).values(_key_values(made)))
            return made

    @retried
    def add_secret(self, key_id: str, secret: Secret, *, retire_others_us: int | None = None) -> ApiKey:
        """Give a key one more secret; its others expire at `retire_others_us` at the latest, or stay as they are.

        Returns the key as it is now. Raises NotFound, and Conflict where the digest is taken.
        """
        with self._database.write(durable=True, turn=Turn.CONFIGURATION) as conn:
            stored = _existing(conn, key_id)
            _refuse_known_digest(conn, secret.digest)
            if retire_others_us is not None:
                later = key_secret.c.expires_us.is_(None) | (key_secret.c.expires_us > retire_others_us)
                retire = sa.update(key_secret).where(key_secret.c.key_id == key_id, later)
                conn.execute(retire.values(expires_us=retire_others_us))
            _insert_secret(conn, key_id, len(stored.secrets), secret)
            conn.execute(sa.update(keys).where(keys.c.key_id == key_id).values(generation=raise_generation(conn)))
            return _existing(conn, key_id)

    def changed_since(self, since: int) -> tuple[int, KeyList]:
        """The generation now, and every key that changed after generation `since` (0: all), as of one moment."""
        with self._database.read() as conn:
            return generation(conn), _keys_where(conn, keys.c.generation > since)

    @retried
    def add_admin(self, digest: bytes, hint: str, created_us: int, name: str = "") -> None:
        """Add an administrator's credential. Raises Conflict where the digest is there already."""
        with self._database.write(durable=True, turn=Turn.CONFIGURATION) as conn:
            if conn.execute(sa.select(admin_secret.c.digest).where(admin_secret.c.digest == digest)).first():
                raise Conflict("this administrator's credential exists already", "admin_exists")
            conn.execute(sa.insert(admin_secret).values(digest=digest, hint=hint, created_us=created_us, name=name))
            raise_generation(conn)

    def admins(self) -> DigestList:
        """The digests of all administrators' credentials that are good, oldest first."""
        return [admin.digest for admin in self.admin_keys() if admin.revoked_us is None]

    def admin_keys(self) -> AdminList:
        """All administrators' credentials there ever were, oldest first."""
        columns = [admin_secret.c[name] for name in AdminKey.__struct_fields__]
        query = sa.select(*columns).order_by(admin_secret.c.created_us, admin_secret.c.digest)
        with self._database.read() as conn:
            return [AdminKey(*row) for row in conn.execute(query)]

    @retried
    def revoke_admin(self, digest: bytes, at_us: int) -> None:
        """End an administrator's credential. Raises Conflict where it is the last good one."""
        with self._database.write(durable=True, turn=Turn.CONFIGURATION) as conn:
            good = sa.select(admin_secret.c.digest).where(admin_secret.c.revoked_us.is_(None))
            if list(conn.execute(good).scalars()) == [digest]:
                raise Conflict("this is the last admin key: make another one first", "last_admin_key")
            one = sa.and_(admin_secret.c.digest == digest, admin_secret.c.revoked_us.is_(None))
            conn.execute(sa.update(admin_secret).where(one).values(revoked_us=at_us))
            raise_generation(conn)


def _key_values(key: ApiKey) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "name": key.name,
        "owner_id": key.owner_id,
        "organisation": key.organisation,
        **{label: getattr(key.labels, label) for label in _LABELS},
        "policy": msgspec.json.encode(key.policy).decode(),
        "status": key.status,
        "created_us": key.created_us,
        "expires_us": key.expires_us,
        "generation": key.generation,
    }


def _key_of(row: Any, secrets: Iterable[Secret]) -> ApiKey:
    return ApiKey(
        key_id=row.key_id,
        name=row.name,
        owner_id=row.owner_id,
        organisation=row.organisation,
        labels=Labels(row.project, row.application, row.environment, row.task),
        policy=_decode_policy(row.policy),
        status=row.status,
        created_us=row.created_us,
        secrets=tuple(secrets),
        expires_us=row.expires_us,
        generation=row.generation,
    )


def _row(conn: sa.Connection, key_id: str) -> Any:
    return conn.execute(sa.select(keys).where(keys.c.key_id == key_id)).one_or_none()


def _key(conn: sa.Connection, key_id: str) -> ApiKey | None:
    found = _keys_where(conn, keys.c.key_id == key_id)
    return found[0] if found else None


def _existing(conn: sa.Connection, key_id: str) -> ApiKey:
    key = _key(conn, key_id)
    if key is None:
        raise NotFound(f"there is no key {key_id}", "unknown_key", param="key_id")
    return key


def _keys_where(conn: sa.Connection, condition: sa.ColumnElement[bool]) -> list[ApiKey]:
    rows = conn.execute(sa.select(keys).where(condition).order_by(keys.c.created_us, keys.c.key_id)).all()
    if not rows:
        return []
    # One more statement for all secrets, not one for each key.
    secrets: dict[str, list[Secret]] = defaultdict(list)
    owned = sa.select(key_secret).where(key_secret.c.key_id.in_(sa.select(keys.c.key_id).where(condition)))
    for row in conn.execute(owned.order_by(key_secret.c.key_id, key_secret.c.position)):
        secrets[row.key_id].append(Secret(row.digest, row.hint, row.created_us, row.expires_us))
    return [_key_of(row, secrets[row.key_id]) for row in rows]


def _refuse_known_digest(conn: sa.Connection, digest: bytes) -> None:
    if conn.execute(sa.select(key_secret.c.key_id).where(key_secret.c.digest == digest)).first() is not None:
        raise Conflict("this secret belongs to a key already", "secret_exists")


def _insert_secret(conn: sa.Connection, key_id: str, position: int, secret: Secret) -> None:
    conn.execute(
        sa.insert(key_secret).values(
            digest=secret.digest,
            key_id=key_id,
            position=position,
            hint=secret.hint,
            created_us=secret.created_us,
            expires_us=secret.expires_us,
        )
    )

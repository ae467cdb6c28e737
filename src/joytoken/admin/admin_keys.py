"""Credentials of the management API: make, list, revoke. A revoked one is refused from the next request on."""

import msgspec

from joytoken.admin.desk import Desk
from joytoken.admin.times import spell_optional, spell_time
from joytoken.domain.errors import InvalidRequest, NotFound
from joytoken.domain.ids import ADMIN_PREFIX, SECRET_BYTES, make_secret, secret_digest, secret_hint
from joytoken.store.keys import AdminKey

NAME_CHARS_MAX = 200


class AdminKeyQuery(msgspec.Struct):
    """Nothing can be chosen."""


class AdminKeyCreate(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A new admin key; `name` says whose."""

    name: str


class AdminKeyRef(msgspec.Struct, forbid_unknown_fields=True):
    """An admin key by its id."""

    id: str


class AdminKeyDocument(msgspec.Struct, kw_only=True):
    """An admin key; what it may do is everything that management can."""

    id: str
    name: str
    hint: str
    status: str
    created_at: str
    revoked_at: str | None


class AdminKeyCreated(AdminKeyDocument, kw_only=True):
    """A new admin key with its credential, shown this once."""

    admin_key: str


class AdminKeyList(msgspec.Struct):
    """All admin keys, oldest first."""

    admin_keys: list[AdminKeyDocument]


def list_admin_keys(desk: Desk, request: AdminKeyQuery) -> AdminKeyList:  # noqa: ARG001 - every operation takes a request
    """All admin keys."""
    return AdminKeyList([_document(key) for key in desk.store.keys.admin_keys()])


def create_admin_key(desk: Desk, request: AdminKeyCreate) -> AdminKeyCreated:
    """Make one more credential for the management API. Raises InvalidRequest."""
    name = request.name.strip()
    if not 1 <= len(name) <= NAME_CHARS_MAX or not name.isprintable():
        raise InvalidRequest(f"a name has 1 to {NAME_CHARS_MAX} characters", param="name")
    credential = make_secret(ADMIN_PREFIX, desk.entropy(SECRET_BYTES))
    digest = secret_digest(credential.encode(), desk.vault.pepper)
    hint, now = secret_hint(credential), desk.now_us()
    desk.store.keys.add_admin(digest, hint, now, name)
    shown = _document(AdminKey(digest, name, hint, now, None))
    desk.note("admin.create", hint, None, shown)
    return AdminKeyCreated(**msgspec.structs.asdict(shown), admin_key=credential)


def revoke_admin_key(desk: Desk, request: AdminKeyRef) -> AdminKeyDocument:
    """End an admin key. Raises NotFound, or Conflict for the last one."""
    found = next((key for key in desk.store.keys.admin_keys() if key.id == request.id), None)
    if found is None:
        raise NotFound(f"there is no admin key {request.id!r}", "unknown_admin_key", param="id")
    if found.revoked_us is not None:
        return _document(found)
    now = desk.now_us()
    desk.store.keys.revoke_admin(found.digest, now)
    after = _document(msgspec.structs.replace(found, revoked_us=now))
    desk.note("admin.revoke", found.hint, _document(found), after)
    return after


def _document(key: AdminKey) -> AdminKeyDocument:
    return AdminKeyDocument(
        id=key.id,
        name=key.name,
        hint=key.hint,
        status="active" if key.revoked_us is None else "revoked",
        created_at=spell_time(key.created_us),
        revoked_at=spell_optional(key.revoked_us),
    )

"""Keys: create, show, change, rotate, revoke."""

from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import asdict, replace

from joytoken.admin.desk import Desk
from joytoken.admin.policy import (
    LABEL_FIELDS,
    PolicyDocument,
    PolicyFields,
    cleared,
    document_of,
    labels_from,
    policy_from,
    unknown_models,
)
from joytoken.admin.times import parse_duration, parse_moment, spell_optional, spell_time
from joytoken.domain.apikey import DEFAULT_ORGANISATION, DEFAULT_OWNER, ApiKey, Labels, Policy, Secret
from joytoken.domain.errors import Conflict, InvalidRequest, NotFound
from joytoken.domain.ids import KEY_PREFIX, SECRET_BYTES, make_secret, secret_digest, secret_hint, uuid7_hex
from joytoken.domain.window import WindowKind, window_of

NAME_CHARS_MAX = 200
DEFAULT_OVERLAP = "24h"


class KeyCreate(PolicyFields, kw_only=True, forbid_unknown_fields=True):
    """A new key. Everything but its name may be left out."""

    name: str
    owner: str = DEFAULT_OWNER


class KeyUpdate(PolicyFields, kw_only=True, forbid_unknown_fields=True):
    """Changes of a key: what is left out stays, and what `clear` names goes back to no limit."""

    id: str
    name: str | None = None
    clear: list[str] = []


class KeyRef(msgspec.Struct, forbid_unknown_fields=True):
    """A key by its id, or by its name where only one key has it."""

    id: str


class KeyRotate(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A rotation: the secrets there are stay good for `overlap` (a duration such as ``24h``)."""

    id: str
    overlap: str = DEFAULT_OVERLAP


class KeyQuery(msgspec.Struct, kw_only=True):
    """Which keys to list."""

    revoked: bool = True  # revoked ones too


class SecretDocument(msgspec.Struct, kw_only=True):
    """One credential of a key, as far as it may be shown."""

    hint: str
    created_at: str
    expires_at: str | None = None


class KeyDocument(PolicyDocument, kw_only=True):
    """A key with its policy. `status` is active, expired or revoked; limits are credits as decimal strings."""

    id: str
    name: str
    status: str
    hint: str
    owner: str
    organisation: str
    created_at: str
    expires_at: str | None = None
    secrets: list[SecretDocument] = []
    warnings: list[str] = []


class KeyCreated(KeyDocument, kw_only=True):
    """A key with its credential, which is shown this once."""

    api_key: str


class KeyList(msgspec.Struct):
    """Keys, oldest first."""

    keys: list[KeyDocument]


def create_key(desk: Desk, request: KeyCreate) -> KeyCreated:
    """Make a key. Raises InvalidRequest naming the field at fault."""
    now = desk.now_us()
    name = _checked_name(request.name)
    if not request.owner.strip() or ":" in request.owner:
        raise InvalidRequest("an owner is a name without colons", param="owner")
    policy = policy_from(request, Policy())
    credential, secret = _new_secret(desk, now)
    key = ApiKey(
        key_id="key-" + uuid7_hex(now // 1000, int.from_bytes(desk.entropy(10), "big")),
        name=name,
        owner_id=request.owner,
        organisation=DEFAULT_ORGANISATION,
        labels=labels_from(request, Labels()),
        policy=policy,
        status="active",
        created_us=now,
        secrets=(secret,),
        expires_us=_expiry(request.expires, now, desk),
    )
    desk.store.keys.add(key)
    document = _document(key, now, unknown_models(desk, policy))
    desk.note("key.create", key.key_id, None, document)
    return KeyCreated(**asdict(document), api_key=credential)


def list_keys(desk: Desk, request: KeyQuery) -> KeyList:
    """All keys."""
    now = desk.now_us()
    found = desk.store.keys.list(include_revoked=request.revoked)
    return KeyList([_document(key, now) for key in sorted(found, key=lambda key: (key.created_us, key.key_id))])


def show_key(desk: Desk, request: KeyRef) -> KeyDocument:
    """One key. Raises NotFound."""
    key = find_key(desk, request.id)
    return _document(key, desk.now_us(), unknown_models(desk, key.policy))


def update_key(desk: Desk, request: KeyUpdate) -> KeyDocument:
    """Change a key. Raises NotFound, InvalidRequest, or Conflict where the key is revoked."""
    key, now = _living(desk, request.id), desk.now_us()
    policy, labels, expires_us = cleared(request.clear, key.policy, key.labels, key.expires_us)
    if request.expires is not None:
        expires_us = _expiry(request.expires, now, desk)
    changed = replace(
        key,
        name=key.name if request.name is None else _checked_name(request.name),
        labels=labels_from(request, labels),
        policy=policy_from(request, policy),
        expires_us=expires_us,
    )
    desk.store.keys.save(changed)
    _follow_limits(desk, changed, key.policy, now)
    after = _document(changed, now, unknown_models(desk, changed.policy))
    desk.note("key.update", key.key_id, _document(key, now), after)
    return after


def rotate_key(desk: Desk, request: KeyRotate) -> KeyCreated:
    """Give a key a new credential. Raises NotFound, InvalidRequest, or Conflict where the key is revoked."""
    key, now = _living(desk, request.id), desk.now_us()
    until = now + parse_duration(request.overlap, "overlap")
    credential, secret = _new_secret(desk, now)
    desk.store.keys.add_secret(key.key_id, secret, retire_others_us=until)
    document = _document(find_key(desk, key.key_id), now)
    desk.note("key.rotate", key.key_id, None, {"hint": secret.hint, "others_until": spell_time(until)})
    return KeyCreated(**asdict(document), api_key=credential)


def revoke_key(desk: Desk, request: KeyRef) -> KeyDocument:
    """End a key for good; to revoke it again changes nothing. Raises NotFound."""
    key, now = find_key(desk, request.id), desk.now_us()
    if key.status == "revoked":
        return _document(key, now)
    revoked = replace(key, status="revoked")
    desk.store.keys.save(revoked)
    desk.note("key.revoke", key.key_id, {"status": key.status}, {"status": "revoked"})
    return _document(revoked, now)


def find_key(desk: Desk, name: str) -> ApiKey:
    """A key by its id, or by its name where only one has it. Raises NotFound, or Conflict where several have it."""
    key = desk.store.keys.get(name)
    if key is not None:
        return key
    named = [key for key in desk.store.keys.list(include_revoked=True) if key.name == name]
    named = [key for key in named if key.status == "active"] or named
    if len(named) > 1:
        raise Conflict(f"{len(named)} keys are named {name!r}; use the id", "ambiguous_name", param="id")
    if not named:
        raise NotFound(f"there is no key {name!r}", "unknown_key", param="id")
    return named[0]


def _living(desk: Desk, name: str) -> ApiKey:
    key = find_key(desk, name)
    if key.status == "revoked":
        raise Conflict(f"key {key.name!r} is revoked; create another", "key_revoked", param="id")
    return key


def _new_secret(desk: Desk, now: int) -> tuple[str, Secret]:
    credential = make_secret(KEY_PREFIX, desk.entropy(SECRET_BYTES))
    digest = secret_digest(credential.encode(), desk.vault.pepper)
    return credential, Secret(digest, secret_hint(credential), now)


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > NAME_CHARS_MAX or not name.isprintable():
        raise InvalidRequest(f"a name has 1 to {NAME_CHARS_MAX} printable characters", param="name")
    return name


def _expiry(text: str | None, now: int, desk: Desk) -> int | None:
    if text is None:
        return None
    moment = parse_moment(text, "expires", now, ahead=True, zone=desk.settings.money.zone)
    if moment <= now:
        raise InvalidRequest("the key would have expired already", param="expires")
    return moment


def _follow_limits(desk: Desk, key: ApiKey, before: Policy, now: int) -> None:
    """Move the quotas of the windows that are open already to the new limits."""
    zone = ZoneInfo(desk.settings.money.zone)
    limits: tuple[tuple[WindowKind, int | None, int | None], ...] = (
        ("day", before.limit_daily, key.policy.limit_daily),
        ("week", before.limit_weekly, key.policy.limit_weekly),
    )
    for kind, old, new in limits:
        if new is not None and new != old:
            window = window_of(kind, now, zone).name
            desk.store.ledger.set_quota_limit(key.key_id, window, new, actor=desk.actor, at_us=now)


def _document(key: ApiKey, now: int, warnings: list[str] | None = None) -> KeyDocument:
    expired = key.expires_us is not None and now >= key.expires_us
    shown = [
        SecretDocument(hint=s.hint, created_at=spell_time(s.created_us), expires_at=spell_optional(s.expires_us))
        for s in key.secrets
        if s.expires_us is None or s.expires_us > now
    ]
    labels: dict[str, Any] = {name: getattr(key.labels, name) for name in LABEL_FIELDS}
    return KeyDocument(
        **document_of(key.policy),
        **labels,
        id=key.key_id,
        name=key.name,
        status="expired" if expired and key.status == "active" else key.status,
        hint=key.secrets[-1].hint if key.secrets else "",
        owner=key.owner_id,
        organisation=key.organisation,
        created_at=spell_time(key.created_us),
        expires_at=spell_optional(key.expires_us),
        secrets=shown,
        warnings=warnings or [],
    )

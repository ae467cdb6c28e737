import pytest

from joytoken.admin.admin_keys import (
    AdminKeyCreate,
    AdminKeyQuery,
    AdminKeyRef,
    create_admin_key,
    list_admin_keys,
    revoke_admin_key,
)
from joytoken.domain.errors import Conflict, InvalidRequest, NotFound
from joytoken.domain.ids import secret_digest


def shown(desk):
    return [(key.name, key.status) for key in list_admin_keys(desk, AdminKeyQuery()).admin_keys]


def test_an_admin_key_from_its_making_to_its_end(desk):
    assert shown(desk) == [("first", "active")]
    made = create_admin_key(desk, AdminKeyCreate(name="ops"))
    digest = secret_digest(made.admin_key.encode(), desk.vault.pepper)
    assert digest in desk.store.keys.admins()
    assert made.admin_key not in str(desk.store.audit.list(10))
    revoked = revoke_admin_key(desk, AdminKeyRef(made.id))
    assert (revoked.status, revoked.hint) == ("revoked", made.hint)
    assert revoke_admin_key(desk, AdminKeyRef(made.id)) == revoked
    assert digest not in desk.store.keys.admins()
    assert sorted(shown(desk)) == [("first", "active"), ("ops", "revoked")]


def test_the_last_admin_key_stays(desk):
    (only,) = list_admin_keys(desk, AdminKeyQuery()).admin_keys
    with pytest.raises(Conflict) as caught:
        revoke_admin_key(desk, AdminKeyRef(only.id))
    assert caught.value.code == "last_admin_key"


def test_what_cannot_be(desk):
    with pytest.raises(NotFound):
        revoke_admin_key(desk, AdminKeyRef("adm-0"))
    for name in ("", "x" * 201, "a\nb"):
        with pytest.raises(InvalidRequest):
            create_admin_key(desk, AdminKeyCreate(name=name))

import pytest

from joytoken.admin.keys import (
    KeyCreate,
    KeyQuery,
    KeyRef,
    KeyRotate,
    KeyUpdate,
    create_key,
    list_keys,
    revoke_key,
    rotate_key,
    show_key,
    update_key,
)
from joytoken.domain.errors import Conflict, InvalidRequest, NotFound
from joytoken.domain.ids import KEY_PREFIX, secret_digest, well_formed
from joytoken.domain.ledger import Want, quota_account
from tests.admin.conftest import NOW_US

CREDIT = 10**9


def digest(desk, credential):
    return secret_digest(credential.encode(), desk.vault.pepper)


def test_a_new_key_is_found_by_its_credential_and_nowhere_kept_in_clear(desk, data_dir):
    made = create_key(desk, KeyCreate(name=" chat "))
    assert well_formed(made.api_key, KEY_PREFIX)
    key = desk.store.keys.by_digest(digest(desk, made.api_key))
    assert (key.key_id, key.name, key.owner_id, key.status) == (made.id, "chat", "default", "active")
    assert made.api_key not in str(show_key(desk, KeyRef(made.id)))
    desk.store.close()
    assert not [path for path in data_dir.iterdir() if path.is_file() and made.api_key.encode() in path.read_bytes()]


def test_the_whole_policy_is_kept(desk, documents):
    wanted = {
        "project": "p",
        "application": "a",
        "environment": "e",
        "task": "t",
        "tier": "economy",
        "allowed_tiers": ["economy", "standard"],
        "fixed_model": "echo",
        "allow_models": ["echo", "echo/echo-mini"],
        "deny_models": ["echo-max"],
        "ip_allow": ["10.0.0.0/8", "::1/128"],
        "ip_block": ["10.1.0.0/16"],
        "limit_daily": "12.5",
        "limit_weekly": "50",
        "requests_per_minute": 60,
        "tokens_per_minute": 1000,
        "concurrency": 3,
        "output_tokens_max": 500,
        "clamp_output": True,
        "blocked": True,
    }
    made = create_key(desk, KeyCreate(name="k", expires="30d", **wanted))
    shown = documents(show_key(desk, KeyRef(made.id)))
    assert {name: shown[name] for name in wanted} == wanted
    assert (shown["status"], shown["expires_at"], shown["warnings"]) == ("active", "2026-12-22T12:00:00.000Z", [])
    assert desk.store.keys.get(made.id).policy.limit_daily == 12_500_000_000


def test_other_spellings_of_lists(desk):
    made = create_key(desk, KeyCreate(name="k", tiers=["premium", "economy"], model_blacklist=["echo"]))
    assert (made.allowed_tiers, made.deny_models) == (["economy", "premium"], ["echo"])


def test_networks_are_normalised(desk):
    made = create_key(desk, KeyCreate(name="k", ip_allow=["10.1.2.3/8", "192.0.2.7"]))
    assert made.ip_allow == ["10.0.0.0/8", "192.0.2.7/32"]


def test_unknown_models_are_a_warning(desk):
    made = create_key(desk, KeyCreate(name="k", fixed_model="gpt-9", deny_models=["echo"]))
    assert made.warnings == ["model 'gpt-9' is not in the catalog"]


@pytest.mark.parametrize(
    ("fields", "param"),
    (
        ({"name": " "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"owner": "a:b"}, "owner"),
        ({"tier": "gold"}, "tier"),
        ({"allowed_tiers": ["gold"]}, "allowed_tiers"),
        ({"tiers": ["gold"]}, "tiers"),
        ({"tier": "economy", "allowed_tiers": ["premium"]}, "tier"),
        ({"ip_allow": ["10.0.0.0/33"]}, "ip_allow"),
        ({"ip_block": ["here"]}, "ip_block"),
        ({"limit_daily": "-1"}, "limit_daily"),
        ({"limit_weekly": "1.0000000001"}, "limit_weekly"),
        ({"limit_daily": "many"}, "limit_daily"),
        ({"requests_per_minute": -1}, "requests_per_minute"),
        ({"concurrency": 2**40}, "concurrency"),
        ({"fixed_model": " "}, "fixed_model"),
        ({"fixed_model": "a", "deny_models": ["a"]}, "fixed_model"),
        ({"expires": "2020-01-01"}, "expires"),
        ({"expires": "soon"}, "expires"),
        ({"project": "x" * 201}, "project"),
        ({"ip_allow": ["10.0.0.1"] * 1001}, "ip_allow"),
    ),
)
def test_a_wrong_policy_names_its_field(desk, fields, param):
    before = len(desk.store.keys.list())
    with pytest.raises(InvalidRequest) as caught:
        create_key(desk, KeyCreate(**{"name": "k", **fields}))
    assert caught.value.param == param
    assert len(desk.store.keys.list()) == before


def test_an_update_changes_what_is_named_alone(desk):
    made = create_key(desk, KeyCreate(name="k", tier="economy", limit_daily="5", project="p", expires="1d"))
    after = update_key(desk, KeyUpdate(id="k", requests_per_minute=7, limit_daily="6"))
    assert (after.id, after.tier, after.limit_daily, after.requests_per_minute, after.project) == (
        made.id,
        "economy",
        "6",
        7,
        "p",
    )
    assert after.expires_at == made.expires_at


@pytest.mark.parametrize(
    ("clear", "field", "left"),
    (
        ("tier", "tier", None),
        ("limit-daily", "limit_daily", None),
        ("rpm", "requests_per_minute", None),
        ("ip-allow", "ip_allow", []),
        ("tiers", "allowed_tiers", []),
        ("project", "project", ""),
        ("expires", "expires_at", None),
    ),
)
def test_a_cleared_field_is_no_limit(desk, clear, field, left):
    fields = {
        "tier": "economy",
        "limit_daily": "5",
        "requests_per_minute": 7,
        "ip_allow": ["::1"],
        "allowed_tiers": ["economy"],
        "project": "p",
        "expires": "1d",
    }
    create_key(desk, KeyCreate(name="k", **fields))
    assert getattr(update_key(desk, KeyUpdate(id="k", clear=[clear])), field) == left


def test_clearing_what_is_not_there_names_the_nearest(desk):
    create_key(desk, KeyCreate(name="k"))
    with pytest.raises(InvalidRequest, match="did you mean limit_daily"):
        update_key(desk, KeyUpdate(id="k", clear=["limit_dayly"]))


def test_a_new_limit_moves_the_quota_that_is_open(desk):
    made = create_key(desk, KeyCreate(name="k", limit_daily="5"))
    epoch = desk.store.ledger.register("w", "host", NOW_US)
    account = quota_account(made.id, "D:2026-11-22")
    desk.store.ledger.grant("w", epoch, [(Want(account, 5 * CREDIT), CREDIT, CREDIT)])
    update_key(desk, KeyUpdate(id="k", limit_daily="8"))
    (row,) = desk.store.ledger.accounts(account)
    assert (row.balance, row.quota_limit) == (8 * CREDIT, 8 * CREDIT)


def test_rotation_leaves_the_old_credential_good_for_the_overlap(desk):
    made = create_key(desk, KeyCreate(name="k"))
    rotated = rotate_key(desk, KeyRotate(id="k", overlap="1h"))
    assert rotated.api_key != made.api_key
    assert rotated.hint != made.hint
    old, new = desk.store.keys.get(made.id).secrets
    assert (old.expires_us, new.expires_us) == (NOW_US + 3_600_000_000, None)
    assert desk.store.keys.by_digest(digest(desk, made.api_key)).key_id == made.id
    assert [secret.expires_at for secret in rotated.secrets] == ["2026-11-22T13:00:00.000Z", None]


def test_rotation_without_an_overlap_ends_the_old_credential_at_once(desk):
    create_key(desk, KeyCreate(name="k"))
    assert len(rotate_key(desk, KeyRotate(id="k", overlap="0s")).secrets) == 1


def test_a_revoked_key_stays_revoked(desk):
    made = create_key(desk, KeyCreate(name="k"))
    generation = desk.store.generation()
    assert revoke_key(desk, KeyRef("k")).status == "revoked"
    assert desk.store.generation() == generation + 1
    assert revoke_key(desk, KeyRef(made.id)).status == "revoked"
    for act, request in ((update_key, KeyUpdate(id=made.id)), (rotate_key, KeyRotate(id=made.id))):
        with pytest.raises(Conflict) as caught:
            act(desk, request)
        assert caught.value.code == "key_revoked"
    assert made.id not in {key.id for key in list_keys(desk, KeyQuery(revoked=False)).keys}
    assert made.id in {key.id for key in list_keys(desk, KeyQuery()).keys}


def test_a_name_finds_a_key_where_only_one_has_it(desk):
    first = create_key(desk, KeyCreate(name="twin"))
    create_key(desk, KeyCreate(name="twin"))
    with pytest.raises(Conflict, match="2 keys are named 'twin'"):
        show_key(desk, KeyRef("twin"))
    revoke_key(desk, KeyRef(first.id))
    assert show_key(desk, KeyRef("twin")).id != first.id
    with pytest.raises(NotFound):
        show_key(desk, KeyRef("nobody"))


def test_every_change_is_in_the_audit_log_without_a_credential(desk):
    made = create_key(desk, KeyCreate(name="k"))
    update_key(desk, KeyUpdate(id="k", project="p"))
    rotated = rotate_key(desk, KeyRotate(id="k"))
    revoke_key(desk, KeyRef("k"))
    entries = desk.store.audit.list(4)
    assert [entry.action for entry in entries] == ["key.revoke", "key.rotate", "key.update", "key.create"]
    assert {(entry.actor, entry.subject, entry.at_us) for entry in entries} == {("test", made.id, NOW_US)}
    assert not any(made.api_key in str(e) or rotated.api_key in str(e) for e in entries)

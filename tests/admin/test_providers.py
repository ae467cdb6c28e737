import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from joytoken.admin.desk import Desk
from joytoken.admin.providers import (
    ProviderAdd,
    ProviderQuery,
    ProviderRef,
    ProviderRemove,
    add_provider,
    check_provider,
    credential_of,
    find_provider,
    list_presets,
    list_providers,
    remove_provider,
)
from joytoken.domain.errors import Conflict, InvalidRequest, NotFound
from joytoken.providers.transport import CA_BYTES_MAX
from tests.providers.test_transport_tls import Authority

URL = "http://127.0.0.1:1/v1"


def test_a_provider_of_ones_own(desk):
    made = add_provider(desk, ProviderAdd(name="mine", kind="openai", base_url=URL, api_key_env="MINE_KEY"))
    assert (made.kind, made.base_url, made.credential, made.models) == ("openai", URL, "environment", 0)
    assert [p.name for p in list_providers(desk, ProviderQuery()).providers] == ["echo", "mine"]
    again = add_provider(desk, ProviderAdd(name="mine", base_url="http://127.0.0.1:2/v1"))
    assert (again.base_url, again.api_key_env) == ("http://127.0.0.1:2/v1", "MINE_KEY")


def test_a_credential_is_sealed_and_never_shown(desk, data_dir):
    made = add_provider(desk, ProviderAdd(name="mine", base_url=URL, api_key="sk-very-secret"))
    assert made.credential == "sealed"
    provider = find_provider(desk, "mine")
    assert credential_of(desk, provider) == "sk-very-secret"
    assert "sk-very-secret" not in str(desk.store.audit.list(10)) + str(made)
    desk.store.close()
    assert not [p for p in data_dir.iterdir() if p.is_file() and b"sk-very-secret" in p.read_bytes()]


@pytest.mark.parametrize(
    "elsewhere", ["http://127.0.0.1:2/v1", "http://127.0.0.2:1/v1", "https://127.0.0.1:1/v1", "http://localhost:1/v1"]
)
def test_a_sealed_credential_goes_to_no_other_origin(desk, elsewhere):
    add_provider(desk, ProviderAdd(name="mine", base_url=URL, api_key="sk-1"))
    with pytest.raises(Conflict, match="--api-key-stdin") as caught:
        add_provider(desk, ProviderAdd(name="mine", base_url=elsewhere))
    assert (caught.value.code, caught.value.param) == ("credential_needed", "base_url")
    assert "api_key" in caught.value.message
    kept = find_provider(desk, "mine")
    assert (kept.base_url, credential_of(desk, kept)) == (URL, "sk-1")
    moved = add_provider(desk, ProviderAdd(name="mine", base_url=elsewhere, api_key="sk-2"))
    assert (moved.base_url, credential_of(desk, find_provider(desk, "mine"))) == (elsewhere, "sk-2")
    assert add_provider(desk, ProviderAdd(name="mine", base_url=URL, api_key_env="VAR")).credential == "environment"


def test_a_sealed_credential_stays_where_it_is_and_takes_no_detour(desk):
    add_provider(desk, ProviderAdd(name="mine", base_url="https://vendor.example/v1", api_key="sk-1"))
    same = add_provider(desk, ProviderAdd(name="mine", base_url="https://Vendor.example:443/v2"))
    assert (same.base_url, same.credential) == ("https://Vendor.example:443/v2", "sealed")
    with pytest.raises(Conflict):  # as an echo, whose base URL is nothing that is called
        add_provider(desk, ProviderAdd(name="mine", kind="echo", base_url="https://elsewhere.example/v1"))
    add_provider(desk, ProviderAdd(name="mine", kind="echo"))
    with pytest.raises(Conflict):
        add_provider(desk, ProviderAdd(name="mine", kind="openai", base_url="https://elsewhere.example/v1"))


def test_a_preset_needs_its_name_alone_and_brings_its_models(desk):
    made = add_provider(desk, ProviderAdd(name="openai"))
    assert (made.base_url, made.api_key_env) == ("https://api.openai.com/v1", "OPENAI_API_KEY")
    assert "openai/gpt-4o-mini" in made.seeded
    model = next(m for m in desk.store.catalog.models() if m.name == "openai/gpt-4o-mini")
    assert model.tier == "economy"
    assert model.price.credits.input > 0
    assert add_provider(desk, ProviderAdd(name="openai")).seeded == []


def test_a_preset_under_another_name(desk):
    made = add_provider(desk, ProviderAdd(name="eu", preset="openai"))
    assert "eu/gpt-4o-mini" in made.seeded
    assert all(d.provider == "eu" for m in desk.store.catalog.models() if m.name in made.seeded for d in m.deployments)


def test_a_server_of_ones_own_is_no_preset_whatever_its_name(desk):
    made = add_provider(desk, ProviderAdd(name="openai", base_url=URL))
    assert (made.base_url, made.api_key_env, made.seeded) == (URL, None, [])


def test_presets_tell_which_credentials_are_there(desk):
    here = Desk(desk.store, desk.settings, desk.vault, environ={"GROQ_API_KEY": "x"})
    found = {preset.name: preset.found for preset in list_presets(here, ProviderQuery()).presets}
    assert (found["groq"], found["openai"]) == ("GROQ_API_KEY", None)


@pytest.mark.parametrize(
    ("fields", "param"),
    (
        ({"name": "A B"}, "name"),
        ({"name": ""}, "name"),
        ({"kind": "telnet"}, "kind"),
        ({"base_url": None}, "base_url"),
        ({"base_url": "ftp://x"}, "base_url"),
        ({"base_url": "http://user:pw@x/v1"}, "base_url"),
        ({"base_url": "http://169.254.169.254/latest"}, "base_url"),
        ({"base_url": "http://[fd00:ec2::254]/v1"}, "base_url"),
        ({"preset": "nobody"}, "preset"),
        ({"api_key_env": "sk-123 456"}, "api_key_env"),
        ({"api_key_env": "JOY_TOKEN_DATABASE_URL"}, "api_key_env"),
        ({"api_key_env": "joy_token_secret"}, "api_key_env"),  # the same one on some systems
        ({"api_key_env": "VAR\n"}, "api_key_env"),
        ({"api_key": ""}, "api_key"),
        ({"ca_file": "/nowhere.pem"}, "ca_file"),
    ),
)
def test_a_wrong_provider_names_its_field(desk, fields, param):
    with pytest.raises(InvalidRequest) as caught:
        add_provider(desk, ProviderAdd(**{"name": "mine", "base_url": URL, **fields}))
    assert caught.value.param == param
    assert "sk-123" not in str(caught.value)


def test_a_file_of_authorities_tells_nothing_of_the_host(desk, tmp_path):
    """What is no file of authorities looks like what is not there: whoever manages need not see the host's files."""
    (tmp_path / "notes").write_text("root:x:0:0")
    huge = tmp_path / "huge.pem"
    huge.write_bytes(Path(Authority(tmp_path).ca_file).read_bytes() + b"\n" * CA_BYTES_MAX)
    said = set()
    for path in (
        tmp_path / "nowhere",
        tmp_path / "notes",
        tmp_path / "notes" / "x",
        tmp_path,
        huge,
        "/dev/zero",
        "a\0b",
    ):
        with pytest.raises(InvalidRequest) as caught:
            add_provider(desk, ProviderAdd(name="mine", base_url=URL, ca_file=str(path)))
        said.add((caught.value.message, caught.value.code, caught.value.param))
    assert len(said) == 1
    assert str(tmp_path) not in str(said)
    authorities = str(tmp_path / "ca.pem")
    assert add_provider(desk, ProviderAdd(name="mine", base_url=URL, ca_file=authorities)).ca_file == authorities


def test_a_provider_in_use_goes_only_by_force(desk):
    with pytest.raises(Conflict, match="3 models"):
        remove_provider(desk, ProviderRemove(name="echo"))
    assert remove_provider(desk, ProviderRemove(name="echo", force=True)).removed == "echo"
    assert desk.store.catalog.models() == []
    with pytest.raises(NotFound):
        remove_provider(desk, ProviderRemove(name="echo"))


class Vendor(BaseHTTPRequestHandler):
    status, body = 200, b'{"object":"list","data":[{"id":"b"},{"id":"a"}]}'
    seen: list = []

    def do_GET(self):
        self.seen.append((self.path, self.headers["Authorization"]))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_):
        pass


@pytest.fixture
def vendor():
    server = HTTPServer(("127.0.0.1", 0), type("Fresh", (Vendor,), {"seen": []}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server.RequestHandlerClass, f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_provider_that_answers(desk, vendor):
    handler, url = vendor
    add_provider(desk, ProviderAdd(name="mine", base_url=url, api_key="sk-1"))
    result = check_provider(desk, ProviderRef(name="mine"))
    assert (result.ok, result.status, result.models) == (True, 200, ["a", "b"])
    assert handler.seen == [("/v1/models", "Bearer sk-1")]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    (
        (401, b'{"error":{"message":"bad\\u001b key"}}', "HTTP 401: bad key"),
        (500, b"oops", "HTTP 500"),
        (200, b"<html>", "the answer is not a list of models"),
    ),
)
def test_a_provider_that_refuses(desk, vendor, status, body, said):
    handler, url = vendor
    handler.status, handler.body = status, body
    add_provider(desk, ProviderAdd(name="mine", base_url=url))
    result = check_provider(desk, ProviderRef(name="mine"))
    assert (result.ok, result.status, result.message) == (False, status, said)


def test_a_provider_that_is_not_there_or_has_no_credential(desk):
    add_provider(desk, ProviderAdd(name="mine", base_url=URL))
    assert (check_provider(desk, ProviderRef(name="mine")).ok, check_provider(desk, ProviderRef(name="echo")).ok) == (
        False,
        True,
    )
    add_provider(desk, ProviderAdd(name="mine", api_key_env="MINE_KEY"))
    assert "MINE_KEY is not set" in check_provider(desk, ProviderRef(name="mine")).message

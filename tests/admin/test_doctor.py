from msgspec.structs import replace

from joytoken.admin.doctor import answers, examine
from joytoken.admin.vault import SECRET_FILE
from joytoken.config.settings import Server, Settings


def look(settings, environ=None, why=None):
    diagnosis = examine(settings, environ or {}, lambda *_: why)
    return diagnosis, {finding.name: finding for finding in diagnosis.findings}


def test_a_folder_that_is_well(desk):
    diagnosis, findings = look(desk.settings)
    assert diagnosis.ok
    assert {finding.state for finding in diagnosis.findings} == {"ok"}
    assert {"secret", "database", "books", "wallets of default", "provider echo", "models", "gateway"} <= set(findings)


def test_a_folder_that_was_never_set_up(tmp_path):
    diagnosis, findings = look(Settings(server=Server(data_dir=str(tmp_path / "none"))))
    assert not diagnosis.ok
    assert (findings["data folder"].state, findings["data folder"].next) == ("failed", "joytoken init")


def test_what_is_wrong_is_named_with_its_next_step(desk, data_dir):
    (data_dir / SECRET_FILE).chmod(0o644)
    provider = replace(desk.store.catalog.providers()[0], name="mine", api_key_env="MINE_KEY")
    desk.store.catalog.put_provider(provider)
    for deployment in ("echo/echo", "echo/echo-mini"):
        desk.store.catalog.remove_deployment(deployment)
    diagnosis, findings = look(desk.settings, why="refused")
    assert not diagnosis.ok
    assert findings["secret"].next.startswith("chmod 600")
    assert "MINE_KEY" in findings["provider mine"].next
    assert (findings["models"].state, findings["gateway"].next) == ("warning", "joytoken serve")


def test_a_damaged_secret(desk, data_dir):
    (data_dir / SECRET_FILE).write_text("nonsense")
    assert not look(desk.settings)[0].ok


def test_nobody_answers_where_nothing_listens():
    assert answers("127.0.0.1", 1) is not None

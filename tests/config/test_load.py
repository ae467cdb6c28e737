from pathlib import Path

import pytest

from joytoken.config.load import ConfigError, load, read
from joytoken.config.settings import Settings


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A working folder and a home without a configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def write(text, name="joytoken.toml"):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def problems(env=None, text="", overrides=None):
    path = write(text) if text else None
    with pytest.raises(ConfigError) as caught:
        read(env or {}, path, overrides)
    return [str(problem) for problem in caught.value.problems]


def test_nothing_configured_gives_the_defaults(tmp_path):
    loaded = read({})
    assert loaded.settings == Settings()
    assert loaded.settings.server.port == 7410
    assert loaded.settings.data_dir == tmp_path / "home/.local/share/joytoken"
    assert loaded.settings.database_url == f"sqlite:///{tmp_path}/home/.local/share/joytoken/joytoken.db"
    assert loaded.settings.usd_per_credit == {"economy": 1_000_000, "standard": 2_000_000, "premium": 5_000_000}
    assert (loaded.file, loaded.origins, loaded.warnings) == (None, {}, [])


def test_each_source_beats_the_one_before():
    write("[server]\nhost = 'file'\nport = 1\nworkers = 2\n")
    loaded = read({"JOY_TOKEN_SERVER_PORT": "3", "JOY_TOKEN_SERVER_WORKERS": "4"}, None, {"server.workers": 5})
    server = loaded.settings.server
    assert (server.host, server.port, server.workers) == ("file", 3, 5)
    assert loaded.origins == {
        "server.host": "joytoken.toml:2",
        "server.port": "JOY_TOKEN_SERVER_PORT",
        "server.workers": "command line",
    }


@pytest.mark.parametrize(
    ("variable", "text", "section", "field", "value"),
    (
        ("JOY_TOKEN_PORT", "8000", "server", "port", 8000),
        ("JOY_TOKEN_HOST", "0.0.0.0", "server", "host", "0.0.0.0"),
        ("JOY_TOKEN_DEFAULT_MODEL", "echo", "gateway", "default_model", "echo"),
        ("JOY_TOKEN_DATABASE_URL", "sqlite:////x.db", "database", "url", "sqlite:////x.db"),
        ("JOY_TOKEN_LOG_LEVEL", "debug", "log", "level", "debug"),
        ("JOY_TOKEN_SERVER_TRUSTED_PROXIES", "10.0.0.0/8, ::1", "server", "trusted_proxies", ("10.0.0.0/8", "::1")),
        ("JOY_TOKEN_GATEWAY_RECORD_REFUSALS", "yes", "gateway", "record_refusals", True),
        ("JOY_TOKEN_GATEWAY_CHARGE_CUT_STREAMS", "0", "gateway", "charge_cut_streams", False),
        ("JOY_TOKEN_ROUTING_WEIGHT_PRICE", "0.25", "routing", "weight_price", 0.25),
        ("JOY_TOKEN_MONEY_STARTER_CREDITS", "12.5", "money", "starter_credits", "12.5"),
    ),
)
def test_environment(variable, text, section, field, value):
    assert getattr(getattr(load({variable: text}), section), field) == value


def test_nested_section_by_environment():
    assert load({"JOY_TOKEN_MONEY_USD_PER_CREDIT_PREMIUM": "0.01"}).money.usd_per_credit.premium == "0.01"


def test_an_empty_variable_is_no_value():
    assert load({"JOY_TOKEN_PORT": ""}).server.port == 7410


def test_the_full_name_beats_the_short_one():
    assert load({"JOY_TOKEN_SERVER_PORT": "1", "JOY_TOKEN_PORT": "2"}).server.port == 1


def test_where_the_file_is_looked_for(tmp_path):
    data = write("[server]\nport = 1\n", "data/joytoken.toml")
    assert read({"JOY_TOKEN_DATA_DIR": str(tmp_path / "data")}).file == tmp_path / data
    here = write("[server]\nport = 2\n")
    assert load({"JOY_TOKEN_DATA_DIR": "data"}).server.port == 2
    other = write("[server]\nport = 3\n", "other.toml")
    assert load({"JOY_TOKEN_CONFIG": str(other)}).server.port == 3
    assert load({"JOY_TOKEN_CONFIG": str(other)}, here).server.port == 2


def test_models_are_overridden_by_name():
    settings = load({}, write('[models."openai/gpt-4o-mini"]\ntier = "economy"\nmci_score = 71\ninput_mtok = 75\n'))
    override = settings.models["openai/gpt-4o-mini"]
    assert (override.tier, override.mci_score, override.input_mtok, override.enabled) == ("economy", 71.0, "75", None)


@pytest.mark.parametrize(
    ("text", "said"),
    (
        ("[serverr]\nport = 1\n", "joytoken.toml:1: serverr: no such setting (did you mean server?)"),
        (
            "[server]\n\nhosst = 'a'\n",
            "joytoken.toml:3: server.hosst: no such setting (did you mean server.host?)",
        ),
        ("port = 1\n", "joytoken.toml:1: port: no such setting (did you mean server.port?)"),
        ("[money]\nport = 1\n", "joytoken.toml:2: money.port: no such setting (did you mean server.port?)"),
        ("[server]\nport = '1'\n", "joytoken.toml:2: server.port: must be an integer; not '1'"),
        ("[server]\nport = 70000\n", "joytoken.toml:2: server.port: must be at most 65535; not 70000"),
        ("upstream.idle_ms = 0\n", "joytoken.toml:1: upstream.idle_ms: must be at least 1 (ms); not 0"),
        (
            "gateway = {default_tier = 'gold'}\n",
            "joytoken.toml:1: gateway.default_tier: must be one of economy, standard, premium; not 'gold'",
        ),
        (
            "[money]\nstarter_credits = 0.1\n",
            "joytoken.toml:2: money.starter_credits: must be a decimal in quotes with at most 9 decimals",
        ),
        ("server = 1\n", "joytoken.toml:1: server: is a section: write it as a table"),
        ("models = 1\n", "joytoken.toml:1: models: is a section: write it as a table"),
        (
            "[models.echo]\nteir = 'economy'\n",
            'joytoken.toml:2: models."echo".teir: no such setting (did you mean tier?)',
        ),
        (
            "[server]\ntrusted_proxies = ['10.0.0.0/8',\n 'here']\n",
            "joytoken.toml:2: server.trusted_proxies: 'here' is not an address or a network such as 10.0.0.0/8",
        ),
        (
            "[money]\nzone = 'Europe/Berln'\n",
            "joytoken.toml:2: money.zone: 'Europe/Berln' is not a time zone (did you mean Europe/Berlin?)",
        ),
        ("[database]\nurl = 'x.db'\n", "joytoken.toml:2: database.url: is not a URL such as sqlite:///"),
        ("[server\n", "joytoken.toml:1: file: is not TOML: "),
        ("a = 1\na = 2\n", "joytoken.toml:2: file: is not TOML: Cannot overwrite a value"),
    ),
)
def test_a_mistake_in_the_file(text, said):
    (problem,) = problems(text=text)
    assert problem.startswith(said)


def test_all_mistakes_are_named_at_once():
    found = problems({"JOY_TOKEN_SERVER_WORKERS": "0"}, "[server]\nport = 'x'\nhead_ms = -1\n", {"server.prt": 1})
    assert found == [
        "joytoken.toml:2: server.port: must be an integer; not 'x'",
        "joytoken.toml:3: server.head_ms: must be at least 1 (ms); not -1",
        "JOY_TOKEN_SERVER_WORKERS: server.workers: must be at least 1; not 0",
        "command line: server.prt: no such setting (did you mean server.port?)",
    ]


def test_a_file_that_is_not_there():
    with pytest.raises(ConfigError, match=r"missing\.toml: file: cannot be read: No such file or directory"):
        load({}, Path("missing.toml"))


def test_a_file_that_is_not_text():
    Path("joytoken.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not UTF-8 text"):
        load({})


def test_unknown_variables_are_reported_with_the_nearest_name():
    warnings = read({"JOY_TOKEN_PRT": "1", "JOY_TOKEN_LOG_LEVLE": "info", "OTHER": "1"}).warnings
    assert [(warning.field, warning.nearest) for warning in warnings] == [
        ("JOY_TOKEN_PRT", "JOY_TOKEN_PORT"),
        ("JOY_TOKEN_LOG_LEVLE", "JOY_TOKEN_LOG_LEVEL"),
    ]


@pytest.mark.parametrize(
    "variable",
    ("JOY_TOKEN_API_KEY", "JOY_TOKEN_ADMIN_KEY", "JOY_TOKEN_URL", "JOY_TOKEN_OPENAI_BASE_URL", "JOY_TOKEN_TEST_X"),
)
def test_variables_of_clients_are_no_mistakes(variable):
    assert read({variable: "x"}).warnings == []

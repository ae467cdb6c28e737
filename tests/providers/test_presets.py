from pathlib import Path
from urllib.parse import urlsplit

import pytest

from joytoken.providers.presets import offered, presets
from joytoken.providers.registry import build_provider
from joytoken.providers.transport import Deadlines, Pool

ALL = presets()


@pytest.mark.parametrize("name", ALL)
def test_a_preset_can_be_called(name):
    preset = ALL[name]
    url = urlsplit(preset.base_url)
    assert not preset.base_url.endswith("/")
    assert (url.scheme, url.hostname) == ("http", "127.0.0.1") if preset.local else url.scheme == "https"
    assert preset.local or preset.api_key_env
    assert preset.docs.startswith("https://")
    assert build_provider(preset.provider(), "made-up", Pool(), Deadlines()).on_disconnect == preset.on_disconnect


@pytest.mark.parametrize(
    ("name", "url", "on_disconnect"),
    [
        ("openai", "https://api.openai.com/v1", "close"),
        ("anthropic", "https://api.anthropic.com/v1", "close"),
        ("gemini", "https://generativelanguage.googleapis.com/v1beta/openai", "drain"),
        ("deepseek", "https://api.deepseek.com", "close"),
        ("groq", "https://api.groq.com/openai/v1", "drain"),
        ("mistral", "https://api.mistral.ai/v1", "drain"),
        ("openrouter", "https://openrouter.ai/api/v1", "close"),
        ("dashscope", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "drain"),
        ("perplexity", "https://api.perplexity.ai", "drain"),
        ("ollama", "http://127.0.0.1:11434/v1", "close"),
    ],
)
def test_where_the_vendors_are(name, url, on_disconnect):
    provider = ALL[name].provider()
    assert (provider.name, provider.kind) == (name, "openai")
    assert (provider.base_url, provider.on_disconnect) == (url, on_disconnect)


def test_vendors_whose_key_is_in_the_environment_are_offered():
    environ = {"OPENAI_API_KEY": "sk-made-up", "GOOGLE_API_KEY": "made-up", "GROQ_API_KEY": " "}
    found = offered(environ)
    assert [preset.name for preset in found] == ["openai", "gemini"]
    assert [preset.provider(environ).api_key_env for preset in found] == ["OPENAI_API_KEY", "GOOGLE_API_KEY"]


def test_nothing_is_offered_without_a_key():
    assert offered({}) == []


def test_a_provider_names_the_variable_and_never_holds_the_credential():
    environ = {"MISTRAL_API_KEY": "very-secret"}
    assert "very-secret" not in repr(offered(environ)[0].provider(environ))


def test_a_vendors_first_variable_is_named_where_none_is_set():
    assert ALL["gemini"].provider().api_key_env == "GEMINI_API_KEY"
    assert ALL["ollama"].provider().api_key_env is None


def test_the_guide_lists_every_preset_as_it_is():
    guide = (Path(__file__).parents[2] / "docs" / "models.md").read_text("utf-8")
    for preset in ALL.values():
        keys = ", ".join(f"`{name}`" for name in preset.api_key_env) or "–"
        assert f"| `{preset.name}` | {preset.title} | {keys} | {preset.on_disconnect} |" in guide

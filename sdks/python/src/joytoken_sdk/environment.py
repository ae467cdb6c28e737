"""Where the gateway is, and the key for it: what is given, then the environment, then this machine."""

import os
import re
from dataclasses import dataclass, field

DEFAULT_API_BASE_URL = "http://localhost:7410"

_ENDPOINT = re.compile(r"(/openai/v1)/(?:chat/completions|responses|images/generations|images/edits)\Z", re.IGNORECASE)
_ANTHROPIC_PATH = re.compile(r"/anthropic/v1(?:/messages)?\Z", re.IGNORECASE)
_REPEATED_PATH = re.compile(r"(?:/openai/v1)+\Z", re.IGNORECASE)


@dataclass(frozen=True)
class Settings:
    """The addresses that are called, and the key that is sent. A key that is missing is empty."""

    api_base_url: str
    openai_base_url: str
    api_key: str = field(repr=False)


def settings_of(
    api_key: str | None = None, api_base_url: str | None = None, openai_base_url: str | None = None
) -> Settings:
    """Read what was not given from the environment; a blank value counts as absent."""
    api = _given(api_base_url) or _given(os.environ.get("JOY_TOKEN_API_BASE_URL")) or DEFAULT_API_BASE_URL
    openai = _given(openai_base_url) or _given(os.environ.get("JOY_TOKEN_OPENAI_BASE_URL")) or api
    key = _given(api_key if api_key is not None else os.environ.get("JOY_TOKEN_API_KEY"))
    return Settings(api.rstrip("/"), openai_base_url_of(openai), key)


def openai_base_url_of(url: str) -> str:
    """Return the base of the OpenAI paths, from any address of the gateway that somebody has at hand."""
    bare = _ANTHROPIC_PATH.sub("", _ENDPOINT.sub(r"\1", url.rstrip("/")))
    return _REPEATED_PATH.sub("", bare.rstrip("/")) + "/openai/v1"


def _given(value: str | None) -> str:
    return (value or "").strip()

"""What is known of the local model, on disk and to its callers."""

from typing import Literal

import msgspec

from joytoken.providers.local.process import ProcessId

Phase = Literal["stopped", "starting", "running", "waiting", "failed"]


class LocalStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The local model as it is now.

    `phase` is finer than `running`: `waiting` is the pause before a restart, `failed` means that the supervisor gave up
    and `error` says why. `model` is the name the server itself uses. Sizes are bytes; `rss_bytes` is the server's.
    """

    installed: bool
    running: bool
    phase: Phase = "stopped"
    pid: int | None = None
    port: int | None = None
    base_url: str | None = None
    model: str | None = None
    context_tokens: int | None = None
    rss_bytes: int | None = None
    version: str | None = None
    size_bytes: int | None = None
    restarts: int = 0
    error: str | None = None


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """One report of an installation: step `step` of `steps`, `done` of `total` units into it (no total: not known)."""

    step: int
    steps: int
    text: str
    done: int = 0
    total: int | None = None
    unit: Literal["bytes", "tensors", ""] = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is installed. `program` is relative to the local model's folder, or absolute."""

    version: str
    model: str
    model_sha256: str
    model_bytes: int
    context_tokens_max: int
    program: list[str]
    packages: dict[str, str]
    requirements_sha256: str
    size_bytes: int


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor is asked to keep running, and its limits."""

    argv: list[str]
    env: dict[str, str]
    port: int
    model: str
    context_tokens: int
    ready_ms: int = 30_000
    stop_ms: int = 5_000
    probe_ms: int = 100
    backoff_first_ms: int = 500
    backoff_ms_max: int = 10_000
    restarts_max: int = 5
    restart_window_ms: int = 120_000
    log_bytes_max: int = 1 << 20


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What the supervisor last wrote of itself and its server."""

    phase: Phase
    supervisor: ProcessId
    server: ProcessId | None = None
    port: int
    model: str
    context_tokens: int
    restarts: int = 0
    error: str | None = None

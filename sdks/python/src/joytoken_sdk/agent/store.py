"""Where the state of runs is kept, so that another process can go on with them."""

import contextlib
import hashlib
import os
import re
import secrets
from pathlib import Path
from typing import Protocol, TypeAlias

from joytoken_sdk.agent.state import RunState, StateError, encode_run_state, parse_run_state

_NAME_CHARACTERS_MAX = 200
_PLAIN = re.compile(rb"[A-Za-z0-9_-]")


class RunStore(Protocol):
    """Keeps the state of runs. An `AsyncAgent` calls it in a thread of its own."""

    def save(self, state: RunState) -> None:
        """Keep a state, over an earlier one of the same run; it is kept once this returns."""
        ...

    def load(self, run_id: str) -> RunState | None:
        """Return the state of a run; None where there is none."""
        ...


class AsyncRunStore(Protocol):
    """The same, asynchronous, for an `AsyncAgent`."""

    async def save(self, state: RunState) -> None: ...

    async def load(self, run_id: str) -> RunState | None: ...


AnyRunStore: TypeAlias = RunStore | AsyncRunStore


class MemoryRunStore:
    """Keeps states in this process, for tests and for runs that only pause."""

    def __init__(self) -> None:
        self._states: dict[str, str] = {}

    def save(self, state: RunState) -> None:
        self._states[state["run"]["id"]] = encode_run_state(state)

    def load(self, run_id: str) -> RunState | None:
        saved = self._states.get(run_id)
        return None if saved is None else parse_run_state(saved)


class FileRunStore:
    """Keeps each run in a JSON file of a folder, readable by its owner alone.

    A state is there wholly or not at all: it is written beside the file, brought to the disk, and put in its place.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    def save(self, state: RunState) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._path_of(state["run"]["id"])
        beside = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
        try:
            file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(file, "wb") as opened:
                opened.write(encode_run_state(state).encode() + b"\n")
                opened.flush()
                os.fsync(file)
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
        self._sync_folder()

    def load(self, run_id: str) -> RunState | None:
        try:
            saved = self._path_of(run_id).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        state = parse_run_state(saved)
        if state["run"]["id"] != run_id:
            raise StateError(f"the file of run {run_id!r} has run {state['run']['id']!r}")
        return state

    def _path_of(self, run_id: str) -> Path:
        return self._folder / state_file_name(run_id)

    def _sync_folder(self) -> None:
        """Bring the new name to the disk, where the system lets a folder be opened."""
        with contextlib.suppress(OSError):  # Windows opens no folders; there a rename is kept by itself
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def state_file_name(run_id: str) -> str:
    """Return the name of a run's file: never a path, and the same in each language."""
    name = ""
    for at, byte in enumerate(run_id.encode()):
        plain = _PLAIN.match(bytes([byte])) or (byte == ord(".") and at > 0)
        name += chr(byte) if plain else f"%{byte:02X}"
    if len(name) > _NAME_CHARACTERS_MAX:
        name = f"sha256-{hashlib.sha256(run_id.encode()).hexdigest()}"
    return f"{name}.json"

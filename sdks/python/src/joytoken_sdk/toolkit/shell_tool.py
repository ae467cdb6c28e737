"""A tool that runs commands."""

import contextlib
import functools
import os
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from joytoken_sdk.agent.tool import AgentTool, ToolExecutionContext
from joytoken_sdk.json_value import JsonObject
from joytoken_sdk.toolkit.argument import object_schema, text_argument
from joytoken_sdk.toolkit.permission import ASKING, Permission

DEFAULT_SHELL_TIMEOUT_S = 30.0
"""How long a command may run, in seconds."""

DEFAULT_SHELL_OUTPUT_BYTES = 64 << 10
"""How much a command may print, in bytes."""

_CHUNK_BYTES = 16 << 10
_LEFT_BEHIND_S = 0.5  # how long what a command left behind may hold its output open


@dataclass(frozen=True, slots=True)
class ShellSandbox:
    """The bounds of the shell tool. It is no jail: a command can do whatever this process can."""

    working_dir: str | Path = "."
    timeout_s: float = DEFAULT_SHELL_TIMEOUT_S
    max_output_bytes: int = DEFAULT_SHELL_OUTPUT_BYTES


def shell(sandbox: ShellSandbox, permission: Permission = ASKING) -> AgentTool:
    """Return a tool that runs a command with `sh -c`, without input, held to a permission: without one it refuses all.

    A command that runs too long or prints too much is killed with all that it started. Variables that begin with
    JOY_TOKEN_ are kept from it.
    """
    return AgentTool(
        name="shell",
        description="Run a command in the workspace and return what it prints.",
        parameters=object_schema({"command": "The command line."}, ["command"]),
        execute=permission.around("shell", functools.partial(_execute, sandbox)),
    )


def _execute(sandbox: ShellSandbox, given: Any, _: ToolExecutionContext) -> JsonObject:
    try:
        return _run(sandbox, _command_of(given))
    except OSError as error:
        raise ValueError(f"shell: {error.strerror or error}") from None
    except ValueError as error:
        raise ValueError(f"shell: {error}") from None


def _command_of(given: object) -> str:
    command = text_argument(given, "command")
    if not command.strip():
        raise ValueError("command is empty")
    if "\0" in command:
        raise ValueError("command has a NUL character")
    return command


def _run(sandbox: ShellSandbox, command: str) -> JsonObject:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JOY_TOKEN_")}
    process = subprocess.Popen(  # noqa: S603 - this is what the tool is for
        ["/bin/sh", "-c", command],
        cwd=Path(sandbox.working_dir).absolute(),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout as output:
        try:
            printed = _Printed(process, output, sandbox)
            printed.read()
        finally:
            _kill(process)
    text = bytes(printed.data).decode("utf-8", "replace")
    exceeded, late = printed.exceeded, printed.late
    result: JsonObject = {"command": command, "output": text, "truncated": exceeded, "exit_code": process.returncode}
    if exceeded:
        result["output_limit_exceeded"] = True
    elif late:
        result["timed_out"] = True
    return result


class _Printed:
    """What a command prints, up to the bounds of time and size."""

    def __init__(self, process: "subprocess.Popen[bytes]", output: IO[bytes], sandbox: ShellSandbox) -> None:
        self._process = process
        self._output = output
        self._max_bytes = sandbox.max_output_bytes
        self._end = time.monotonic() + sandbox.timeout_s
        self.data = bytearray()
        self.exceeded = False
        self.late = False

    def read(self) -> None:
        """Read to the end, to a bound, or until only what the command left behind holds the output open."""
        ended: float | None = None
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            while True:
                now = time.monotonic()
                if ended is None and self._process.poll() is not None:
                    ended = now
                if ended is None and now >= self._end:
                    self.late = True
                    return
                if ended is not None and now >= ended + _LEFT_BEHIND_S:
                    return
                if selector.select(0.05) and not self._take(os.read(self._output.fileno(), _CHUNK_BYTES)):
                    break
        if self.exceeded:
            return
        try:
            self._process.wait(max(0.0, self._end - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.late = True

    def _take(self, data: bytes) -> bool:
        """Keep what fits; whether there may be more to keep."""
        room = self._max_bytes - len(self.data)
        self.data += data[:room]
        self.exceeded = len(data) > room
        return bool(data) and not self.exceeded


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End a command and all that it started: they are a group of their own."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()

"""How far a long act is, on standard error: one line, written over, at a terminal; a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable

_TERMINAL_S = 0.1  # between two lines
_PIPE_S = 5.0
_QUIET_S = 0.5  # what takes no longer says nothing


class Progress:
    """Callable as `(done, total, what)`; `end` clears the line."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._terminal = sys.stderr.isatty()
        self._every_s = _TERMINAL_S if self._terminal else _PIPE_S
        self._next: float | None = None
        self._width = 0

    def __call__(self, done: int, total: int, what: str) -> None:
        """Say it, unless something was said just before."""
        now = self._clock()
        if self._next is None:
            self._next = now + (_QUIET_S if self._terminal else _PIPE_S)
        if now < self._next:
            return
        self._next = now + self._every_s
        share = 100 * done // total if total else 100
        line = f"{share:3d} %  {what}"
        if self._terminal:
            sys.stderr.write(f"\r{line:<{self._width}}")
            self._width = len(line)
        else:
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    def end(self) -> None:
        """Leave a terminal's line as it was."""
        if self._width:
            sys.stderr.write(f"\r{'':<{self._width}}\r")
            sys.stderr.flush()
        self._next, self._width = None, 0

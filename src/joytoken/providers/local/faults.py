"""What can go wrong with the local model, each with the next step a person can take.

LocalError
 ├─ Unsupported    this machine cannot run it
 ├─ NotInstalled   there is nothing to start
 └─ LocalFailed    a step failed, or another process is at it
"""


class LocalError(Exception):
    """A failure told in one sentence, with what to do about it and, where a program failed, its last words."""

    def __init__(self, message: str, *, next_step: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step
        self.detail = detail


class Unsupported(LocalError):
    """The platform, its disk or its memory does not carry the local model."""


class NotInstalled(LocalError):
    """The local model is not installed, or its installation is not complete."""

    def __init__(self) -> None:
        super().__init__("the local model is not installed", next_step="run: joytoken local install")


class LocalFailed(LocalError):
    """Something that should have worked did not."""

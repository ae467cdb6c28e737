"""A folder out of which no name leads."""

import contextlib
import os
import stat
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

DEFAULT_FILE_MAX_BYTES = 1 << 20
"""The largest file that is read or written, in bytes."""

DEFAULT_SEARCH_LIMIT = 200
"""The most names that are listed or found."""

_LINKS_MAX = 40
_PATH_BYTES_MAX = 4096
_HELD = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)


class OutsideWorkspace(ValueError):
    """A path that leads out of the workspace."""


@dataclass(frozen=True, slots=True)
class FileSandbox:
    """The folder that file tools are held to: absolute paths, `..` and links that lead out of it are refused."""

    root: str | Path = "."
    max_bytes: int = DEFAULT_FILE_MAX_BYTES
    """Bounds what is read or written at once."""

    @property
    def absolute_root(self) -> Path:
        return Path(self.root).absolute()

    @contextlib.contextmanager
    def open(self) -> Generator["Folder", None, None]:
        """Open the folder for one call of a tool."""
        if os.open not in os.supports_dir_fd:
            raise OSError("the file tools need a system that opens files below an open folder")
        root = os.open(self.absolute_root, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            yield Folder(root)
        finally:
            os.close(root)


class Folder:
    """An open folder. A name is followed part by part from it, so that no link can be put between check and use."""

    def __init__(self, root: int) -> None:
        self._root = root

    def open_regular(self, path: str, flags: int, mode: int = 0o644) -> int:
        """Open a regular file; others are refused, and never waited for."""
        with self._walked(path) as (parent, name):
            file = os.open(name, flags | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=parent)
        if not stat.S_ISREG(os.fstat(file).st_mode):
            os.close(file)
            raise OSError("it is no regular file")
        return file

    def open_folder(self, path: str) -> int:
        """Open a folder."""
        with self._walked(path) as (parent, name):
            return os.open(name, _HELD, dir_fd=parent)

    def make_parents(self, path: str) -> None:
        """Make the folders above a name."""
        parts = path.split("/")[:-1]
        for length in range(1, len(parts) + 1):
            with self._walked("/".join(parts[:length])) as (parent, name), contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o755, dir_fd=parent)

    @contextlib.contextmanager
    def _walked(self, path: str) -> Generator[tuple[int, str], None, None]:
        """Follow a path to its last part, links included; give the open folder that has it, and its name there."""
        opened = [os.dup(self._root)]
        left = inside(path).split("/")
        links = 0
        try:
            while True:
                part = left.pop(0)
                if part in {"", "."} and left:
                    continue
                if part == "..":
                    if len(opened) == 1:
                        raise OutsideWorkspace("the path leads out of the workspace")
                    os.close(opened.pop())
                    left = left or ["."]
                    continue
                target = _link_of(opened[-1], part)
                if target is not None:
                    links += 1
                    if links > _LINKS_MAX:
                        raise OSError("there are too many links in the path")
                    if target.startswith("/"):
                        raise OutsideWorkspace("the path leads out of the workspace")
                    left = [*target.split("/"), *left]
                elif left:
                    opened.append(os.open(part, _HELD, dir_fd=opened[-1]))
                else:
                    yield opened[-1], part or "."
                    return
        finally:
            for folder in opened:
                os.close(folder)


def inside(path: str) -> str:
    """Return a path as it is below the folder, by its words alone. Raises OutsideWorkspace of one that leads out."""
    if "\0" in path:
        raise ValueError("path has a NUL character")
    if len(path.encode("utf-8", "replace")) > _PATH_BYTES_MAX:
        raise ValueError(f"path has more than {_PATH_BYTES_MAX} bytes")
    if path.startswith("/"):
        raise OutsideWorkspace(f'path "{path[:200]}" is absolute: give one below the workspace')
    clean = os.path.normpath(path or ".")
    if clean == ".." or clean.startswith("../"):
        raise OutsideWorkspace(f'path "{path[:200]}" leads out of the workspace')
    return clean


def _link_of(folder: int, name: str) -> str | None:
    """Return where a link leads; None of what is no link or not there."""
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError:
        return None

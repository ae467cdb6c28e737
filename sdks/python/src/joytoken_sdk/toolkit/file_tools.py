"""Tools for the files of a folder."""

import fnmatch
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from joytoken_sdk.agent.tool import AgentTool, ToolExecutionContext
from joytoken_sdk.json_value import JsonObject
from joytoken_sdk.toolkit.argument import object_schema, text_argument
from joytoken_sdk.toolkit.permission import ASKING, Permission
from joytoken_sdk.toolkit.sandbox import DEFAULT_SEARCH_LIMIT, FileSandbox, Folder, inside

_PATTERN_BYTES_MAX = 1024
_ENTRIES_MAX = 200_000  # how many names one search looks at
_DEPTH_MAX = 200

_Action: TypeAlias = Callable[[Folder, FileSandbox, Any], JsonObject]


def file_read(sandbox: FileSandbox) -> AgentTool:
    """Return a tool that reads a text file of the sandbox."""
    texts = {"path": "The file's path below the workspace."}
    return _file_tool(sandbox, "file_read", "Read a text file of the workspace.", texts, ["path"], _read)


def file_write(sandbox: FileSandbox, permission: Permission = ASKING) -> AgentTool:
    """Return a tool that writes a file of the sandbox, held to a permission: without one it refuses each call."""
    texts = {"path": "The file's path below the workspace.", "content": "The whole content."}
    description = "Write a text file of the workspace; one that is there is replaced."
    tool = _file_tool(sandbox, "file_write", description, texts, ["path", "content"], _write)
    return replace(tool, execute=permission.around(tool.name, tool.execute))


def list_dir(sandbox: FileSandbox) -> AgentTool:
    """Return a tool that lists a folder of the sandbox, up to `DEFAULT_SEARCH_LIMIT` names."""
    texts = {"path": "The folder's path below the workspace; the workspace itself where it is left out."}
    return _file_tool(sandbox, "list_dir", "List a folder of the workspace.", texts, [], _list)


def file_search(sandbox: FileSandbox) -> AgentTool:
    """Return a tool that finds files of the sandbox by a pattern of their name, up to `DEFAULT_SEARCH_LIMIT`."""
    pattern = "A pattern of the file's name, in which * stands for any text and ? for one character."
    return _file_tool(
        sandbox, "file_search", "Find files of the workspace by name.", {"pattern": pattern}, ["pattern"], _search
    )


def _file_tool(
    sandbox: FileSandbox, name: str, description: str, texts: Mapping[str, str], required: Sequence[str], act: _Action
) -> AgentTool:
    return AgentTool(
        name=name,
        description=description,
        parameters=object_schema(texts, required),
        execute=functools.partial(_act, name, sandbox, act),
    )


def _act(name: str, sandbox: FileSandbox, act: _Action, given: Any, _: ToolExecutionContext) -> JsonObject:
    """Open the sandbox for one call; errors are named after the tool, and tell nothing of the machine's own paths."""
    try:
        with sandbox.open() as folder:
            return act(folder, sandbox, given)
    except OSError as error:
        raise ValueError(f"{name}: {error.strerror or error}") from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _read(folder: Folder, sandbox: FileSandbox, given: Any) -> JsonObject:
    path = _path_of(given)
    with os.fdopen(folder.open_regular(path, os.O_RDONLY), "rb") as file:
        data = file.read(sandbox.max_bytes + 1)
    more = len(data) > sandbox.max_bytes
    content = data[: sandbox.max_bytes].decode("utf-8", "ignore" if more else "replace")
    result: JsonObject = {"path": path, "content": content, "bytes": len(content.encode())}
    return {**result, "truncated": True} if more else result


def _write(folder: Folder, sandbox: FileSandbox, given: Any) -> JsonObject:
    path, content = _path_of(given), text_argument(given, "content").encode("utf-8", "replace")
    if len(content) > sandbox.max_bytes:
        raise ValueError(f"content is over {sandbox.max_bytes} bytes")
    folder.make_parents(path)
    with os.fdopen(folder.open_regular(path, os.O_WRONLY | os.O_CREAT), "wb") as file:
        file.truncate(0)
        file.write(content)
    return {"path": path, "bytes": len(content)}


def _list(folder: Folder, _: FileSandbox, given: Any) -> JsonObject:
    path = _path_of(given, ".")
    opened = folder.open_folder(path)
    try:
        with os.scandir(opened) as listed:
            names = [entry for entry, _ in zip(listed, range(_ENTRIES_MAX), strict=False)]
            names.sort(key=lambda entry: entry.name)
            entries = [_entry_of(entry) for entry in names[:DEFAULT_SEARCH_LIMIT]]
    finally:
        os.close(opened)
    return {"path": path, "entries": entries, "truncated": len(names) > DEFAULT_SEARCH_LIMIT}


def _entry_of(entry: os.DirEntry[str]) -> JsonObject:
    is_file = entry.is_file(follow_symlinks=False)
    size = entry.stat(follow_symlinks=False).st_size if is_file else 0
    return {"name": entry.name, "dir": entry.is_dir(follow_symlinks=False), "bytes": size}


def _search(folder: Folder, _: FileSandbox, given: Any) -> JsonObject:
    pattern = text_argument(given, "pattern")
    if not pattern or len(pattern.encode("utf-8", "replace")) > _PATTERN_BYTES_MAX or set(pattern) & set("/\\"):
        raise ValueError(f"pattern must be 1 to {_PATTERN_BYTES_MAX} bytes of a file's name, without slashes")
    glob = pattern.replace("[", "[[]")  # only * and ? are special
    search = _Search(lambda name: fnmatch.fnmatchcase(name, glob))
    opened = folder.open_folder(".")
    try:
        search.walk(opened, "", 0)
    finally:
        os.close(opened)
    found = sorted(search.found)
    return {"pattern": pattern, "matches": found, "count": len(found), "truncated": search.truncated}


class _Search:
    """A walk over a folder that follows no links."""

    def __init__(self, fits: Callable[[str], bool]) -> None:
        self._fits = fits
        self._seen = 0
        self.found: list[str] = []
        self.truncated = False

    def walk(self, folder: int, path: str, depth: int) -> None:
        with os.scandir(folder) as listed:
            for entry in sorted(listed, key=lambda entry: entry.name):
                self._seen += 1
                if self._seen > _ENTRIES_MAX or depth > _DEPTH_MAX:
                    self.truncated = True
                if self.truncated:
                    return
                if entry.is_dir(follow_symlinks=False):
                    self._descend(folder, entry.name, f"{path}{entry.name}/", depth)
                elif self._fits(entry.name):
                    self.truncated = len(self.found) == DEFAULT_SEARCH_LIMIT
                    if not self.truncated:
                        self.found.append(path + entry.name)

    def _descend(self, folder: int, name: str, path: str, depth: int) -> None:
        try:
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
        except OSError:
            return  # a folder that cannot be read has no matches
        try:
            self.walk(inner, path, depth + 1)
        finally:
            os.close(inner)


def _path_of(given: object, default: str | None = None) -> str:
    path = text_argument(given, "path", default)
    if not path and default is None:
        raise ValueError("path is empty")
    return inside(path or ".")

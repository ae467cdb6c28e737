"""File tools and the shell: nothing outside of the sandbox is read, written, listed or left running."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from joytoken_sdk.agent import Agent, ModelRequest, ModelResponse
from joytoken_sdk.agent.tool import AgentTool, ToolExecutionContext
from joytoken_sdk.toolkit import (
    DEFAULT_FILE_MAX_BYTES,
    DEFAULT_SEARCH_LIMIT,
    FileSandbox,
    Permission,
    PermissionRequest,
    ShellSandbox,
    file_read,
    file_search,
    file_write,
    list_dir,
    shell,
    workspace,
)

FREE = Permission("auto")
CONTEXT = ToolExecutionContext(step=1, tool_call={}, messages=[])


def use(tool: AgentTool, **given: Any) -> Any:
    return tool.execute(given, CONTEXT)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A workspace with a file, a folder, and links that stay inside and lead out."""
    inside, outside = tmp_path / "in", tmp_path / "out"
    (inside / "sub").mkdir(parents=True)
    outside.mkdir()
    (inside / "a.txt").write_text("hello", encoding="utf-8")
    (inside / "sub" / "b.txt").write_text("sub", encoding="utf-8")
    (outside / "secret.txt").write_text("secret", encoding="utf-8")
    links = {
        "inside": "a.txt",
        "around": "sub/../a.txt",
        "leak": outside / "secret.txt",
        "leakdir": outside,
        "dangling": outside / "new.txt",
        "up": "../out/secret.txt",
        "loop": "loop",
    }
    for name, target in links.items():
        (inside / name).symlink_to(target)
    return inside


ESCAPES = (
    *("../out/secret.txt", "sub/../../out/secret.txt", "/etc/passwd", "leak", "up", "leakdir/secret.txt"),
    *("dangling", "loop", "..", "a\0b", "", "sub/../../../../etc/passwd", "x/" * 3000),
)


@pytest.mark.parametrize("path", ESCAPES, ids=lambda path: path[:24])
def test_check_95_paths_are_confined(root: Path, path: str) -> None:
    sandbox = FileSandbox(root)
    for tool, more in ((file_read(sandbox), {}), (file_write(sandbox, FREE), {"content": "x"})):
        with pytest.raises(ValueError) as caught:
            use(tool, path=path, **more)
        assert str(caught.value).startswith(f"{tool.name}: ")
        assert str(root) not in str(caught.value)
    outside = root.parent / "out"
    assert [file.name for file in outside.iterdir()] == ["secret.txt"]
    assert (outside / "secret.txt").read_text(encoding="utf-8") == "secret"


@pytest.mark.parametrize("path", ("..", "leakdir", "/", "sub/../..", "a.txt"))
def test_check_95_folders_are_confined(root: Path, path: str) -> None:
    with pytest.raises(ValueError):
        use(list_dir(FileSandbox(root)), path=path)


def test_a_search_finds_nothing_outside(root: Path) -> None:
    assert use(file_search(FileSandbox(root)), pattern="secret*")["count"] == 0


def test_the_file_tools(root: Path) -> None:
    sandbox = FileSandbox(root)
    read, write = file_read(sandbox), file_write(sandbox, FREE)
    assert use(read, path="a.txt") == {"path": "a.txt", "content": "hello", "bytes": 5}
    assert use(read, path="./inside") == {"path": "inside", "content": "hello", "bytes": 5}
    assert use(read, path="around")["content"] == "hello"
    assert use(file_read(FileSandbox(root, 2)), path="a.txt") == {
        "path": "a.txt",
        "content": "he",
        "bytes": 2,
        "truncated": True,
    }
    assert use(write, path="x/y/z.txt", content="new") == {"path": "x/y/z.txt", "bytes": 3}
    assert use(write, path="a.txt", content="hi") == {"path": "a.txt", "bytes": 2}
    assert use(read, path="a.txt")["content"] == "hi"
    assert use(file_search(sandbox), pattern="?.txt") == {
        "pattern": "?.txt",
        "matches": ["a.txt", "sub/b.txt", "x/y/z.txt"],
        "count": 3,
        "truncated": False,
    }
    entry = {"name": "b.txt", "dir": False, "bytes": 3}
    assert use(list_dir(sandbox), path="sub") == {"path": "sub", "entries": [entry], "truncated": False}
    assert {"name": "sub", "dir": True, "bytes": 0} in use(list_dir(sandbox))["entries"]


def test_what_is_cut_is_cut_between_characters(root: Path) -> None:
    (root / "u.txt").write_text("aä", encoding="utf-8")
    assert use(file_read(FileSandbox(root, 2)), path="u.txt")["content"] == "a"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"path": "big", "content": "x" * (DEFAULT_FILE_MAX_BYTES + 1)}, "bytes"),
        ({"path": 7, "content": ""}, "must be a string"),
        ({"path": "c.txt"}, "missing required argument"),
    ],
)
def test_what_is_not_written(root: Path, given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        file_write(FileSandbox(root), FREE).execute(given, CONTEXT)
    assert not (root / "big").exists()


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    """A pipe that nobody writes would be waited for, for ever."""
    os.mkfifo(tmp_path / "pipe")
    for tool, more in (
        (file_read(FileSandbox(tmp_path)), {}),
        (file_write(FileSandbox(tmp_path), FREE), {"content": "x"}),
    ):
        with pytest.raises(ValueError):
            use(tool, path="pipe", **more)


def test_searches_and_lists_are_bounded(tmp_path: Path) -> None:
    for number in range(DEFAULT_SEARCH_LIMIT + 5):
        (tmp_path / f"f{number}").touch()
    found = use(file_search(FileSandbox(tmp_path)), pattern="*")
    assert (found["count"], found["truncated"]) == (DEFAULT_SEARCH_LIMIT, True)
    listed = use(list_dir(FileSandbox(tmp_path)))
    assert (len(listed["entries"]), listed["truncated"]) == (DEFAULT_SEARCH_LIMIT, True)
    for pattern in ("", "a/b", "x" * 2000):
        with pytest.raises(ValueError, match="pattern"):
            use(file_search(FileSandbox(tmp_path)), pattern=pattern)


def test_check_95_a_workspace_asks_before_it_writes(tmp_path: Path) -> None:
    asked: list[PermissionRequest] = []

    def allow(request: PermissionRequest) -> bool:
        asked.append(request)
        return True

    refused = {tool.name: tool for tool in workspace(tmp_path)}["file_write"]
    with pytest.raises(Exception, match="requires approval but no permission handler"):
        use(refused, path="a.txt", content="x")
    assert list(tmp_path.iterdir()) == []
    use({tool.name: tool for tool in workspace(tmp_path, allow)}["file_write"], path="a.txt", content="x")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "x"
    assert [request.tool_name for request in asked] == ["file_write"]


def test_check_95_the_shell_without_permission_runs_nothing(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="requires approval"):
        use(shell(ShellSandbox(tmp_path)), command="touch a.txt")
    assert list(tmp_path.iterdir()) == []


class Wishing:
    """A model that has tools called, and then says what came of them."""

    def __init__(self, *calls: tuple[str, dict[str, str]]) -> None:
        self._calls = calls

    def complete(self, request: ModelRequest) -> ModelResponse:
        told = [message["content"] for message in request.messages if message["role"] == "tool"]
        message: dict[str, Any] = {"role": "assistant", "content": "\n".join(told)}
        if not told:
            message["tool_calls"] = [
                {"id": f"call_{name}", "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
                for name, given in self._calls
            ]
        return ModelResponse(message)


def test_check_95_a_refusal_is_told_to_the_model(tmp_path: Path) -> None:
    wishes = (("file_write", {"path": "a.txt", "content": "x"}), ("shell", {"command": "touch b.txt"}))
    tools = [file_write(FileSandbox(tmp_path)), shell(ShellSandbox(tmp_path))]
    result = Agent(Wishing(*wishes), tools=tools).run("Change something.")
    assert [told.is_error for told in result.steps[0].tool_results] == [True, True]
    assert result.final_text.count("requires approval but no permission handler is configured") == 2
    assert list(tmp_path.iterdir()) == []


def test_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOY_TOKEN_API_KEY", "jt_live_secret")
    tool = shell(ShellSandbox(tmp_path), FREE)
    told = use(tool, command="echo out; echo err >&2; exit 3")
    assert (told["output"], told["exit_code"], told["truncated"]) == ("out\nerr\n", 3, False)
    assert use(tool, command="cat")["output"] == ""
    assert use(tool, command="echo [$JOY_TOKEN_API_KEY]")["output"] == "[]\n"
    assert use(tool, command=r"printf '\377'")["output"] == "\ufffd"
    assert use(tool, command="pwd")["output"].strip() == str(tmp_path)
    for command in ("  ", "a\0b"):
        with pytest.raises(ValueError, match="shell: command"):
            use(tool, command=command)


def is_gone(pid: str) -> bool:
    """Whether a process has ended, if need be as one that nobody has asked for yet."""
    for _ in range(500):
        try:
            if ") Z " in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8"):
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize(
    ("bounds", "command", "mark"),
    [
        ({"timeout_s": 0.3}, "sleep 600 & echo $!; wait", "timed_out"),
        ({"timeout_s": 0.3}, "echo $$; exec >&- 2>&-; sleep 600", "timed_out"),
        ({"max_output_bytes": 100}, "sleep 600 & echo $!; yes", "output_limit_exceeded"),
        ({}, "sleep 600 & echo $!", ""),
    ],
    ids=("too long", "too long in silence", "too much", "left behind"),
)
def test_the_shell_kills_all_that_it_started(tmp_path: Path, bounds: Any, command: str, mark: str) -> None:
    told = use(shell(ShellSandbox(tmp_path, **bounds), FREE), command=command)
    assert mark == "" or told[mark] is True
    assert len(json.dumps(told)) < 1000
    assert is_gone(told["output"].splitlines()[0])

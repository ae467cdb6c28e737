"""Tools of the toolkit in the hands of an agent."""

import pytest
from fake_gateway import tool_call
from models import ScriptedModel, both, calls, says

from joytoken_sdk.toolkit import FileSandbox, Permission, ShellSandbox, file_write, shell


@both
def test_95_what_nobody_allowed_is_refused_and_told_to_the_model(kind, tmp_path):
    tools = [file_write(FileSandbox(tmp_path)), shell(ShellSandbox(tmp_path))]
    asked = [
        tool_call("file_write", {"path": "a.txt", "content": "a"}, call_id="w"),
        tool_call("shell", {"command": "touch b.txt"}, call_id="s"),
    ]
    model = ScriptedModel(calls(*asked), says("I may not."))
    result = kind.run(kind.make(model, tools=tools), "go")
    assert [one.is_error for one in result.steps[0].tool_results] == [True, True]
    assert all("permission handler" in message["content"] for message in model.asked[1].messages[-2:])
    assert not list(tmp_path.iterdir())


@both
@pytest.mark.parametrize("path", ["../out.txt", "link/out.txt", "absolute"])
def test_95_what_leads_out_of_the_folder_is_refused(kind, path, tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path)
    path = str(tmp_path / "out.txt") if path == "absolute" else path
    tools = [file_write(FileSandbox(tmp_path / "in"), Permission("auto"))]
    model = ScriptedModel(calls(tool_call("file_write", {"path": path, "content": "a"})), says("I cannot."))
    result = kind.run(kind.make(model, tools=tools), "go")
    assert result.steps[0].tool_results[0].is_error
    assert str(tmp_path / "in") not in result.steps[0].tool_results[0].content
    assert not (tmp_path / "out.txt").exists()

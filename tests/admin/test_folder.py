"""A data folder has one name, and one gateway."""

import os
import subprocess
import sys

import pytest

from joytoken.admin.folder import SERVE_LOCK_FILE, FolderServed, instance, occupy

HOLDER = """
import sys, pathlib
from joytoken.admin.folder import occupy
occupy(pathlib.Path(sys.argv[1]))
print("served", flush=True)
sys.stdin.read()
"""


def test_a_folder_keeps_its_name_and_no_two_share_one(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    assert instance(one) == instance(one) != instance(other)
    assert [path.name for path in one.iterdir()] == ["instance"]


def test_a_folder_is_served_by_one_process(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert child.stdout.readline() == b"served\n"
    with pytest.raises(FolderServed, match=rf"process {child.pid}\) serves from {tmp_path}"):
        occupy(tmp_path)
    child.kill()
    child.communicate()
    os.close(occupy(tmp_path))
    assert (tmp_path / SERVE_LOCK_FILE).read_text() == f"{os.getpid()}\n"


def test_who_comes_waits_for_the_workers_of_a_dead_one(tmp_path):
    """The lock outlives the process that took it, in those to whom it was handed; its name tells that it is dead."""
    kept = occupy(tmp_path)
    child = subprocess.Popen(
        [sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE, pass_fds=[kept]
    )
    os.close(kept)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / SERVE_LOCK_FILE).write_text(f"{dead.pid}\n")
    with pytest.raises(FolderServed):
        occupy(tmp_path, 100)
    child.communicate()
    os.close(occupy(tmp_path))

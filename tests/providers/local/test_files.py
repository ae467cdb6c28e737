import subprocess
import sys

import msgspec
import pytest

from joytoken.providers.local.faults import LocalFailed
from joytoken.providers.local.files import locked, read_struct, tail, write_struct


class Thing(msgspec.Struct):
    size: int


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"size": "three"}', b"\xff"])
def test_what_is_not_whole_is_not_there(tmp_path, content):
    path = tmp_path / "thing.json"
    if content is not None:
        path.write_bytes(content)
    assert read_struct(path, Thing) is None


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / "thing.json"
    for size in (1, 2):
        write_struct(path, Thing(size))
    assert read_struct(path, Thing) == Thing(2)
    assert [each.name for each in tmp_path.iterdir()] == ["thing.json"]


def test_a_lock_is_held_against_other_processes_and_freed_by_their_end(tmp_path):
    path = tmp_path / "deep" / "lock"
    holder = (
        "import sys; from pathlib import Path; from joytoken.providers.local.files import locked\n"
        "with locked(Path(sys.argv[1]), 'busy'): print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        with pytest.raises(LocalFailed, match="another process is installing"), locked(path, "installing"):
            pass
        child.kill()
        child.wait()
    with locked(path, "installing"):
        pass


def test_tail(tmp_path):
    path = tmp_path / "log"
    assert tail(path, 2) == ""
    path.write_bytes(b"one\ntwo\nthr\xffee\n")
    assert tail(path, 2) == "two\nthr�ee"

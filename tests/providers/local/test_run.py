import signal
import sys

import pytest

from joytoken.providers.local import process
from joytoken.providers.local.faults import LocalFailed
from joytoken.providers.local.run import run


def python(code):
    return [sys.executable, "-I", "-c", code]


def test_what_it_printed_is_returned_and_told_meanwhile(tmp_path):
    seen = []
    code = "import time; print(1, flush=True); time.sleep(0.8); print(2)"
    assert run(python(code), what="it", logs=tmp_path, seconds_max=30, tick=seen.append) == "1\n2\n"
    assert "1\n" in seen


def test_a_failure_shows_the_last_words(tmp_path):
    code = "import sys; [print('line', n, file=sys.stderr) for n in range(40)]; sys.exit(7)"
    with pytest.raises(LocalFailed) as caught:
        run(python(code), what="pip", logs=tmp_path, seconds_max=30)
    assert caught.value.message == "pip failed (exit code 7)"
    assert caught.value.detail.splitlines() == [f"line {number}" for number in range(25, 40)]


def test_an_end_by_signal_is_named(tmp_path):
    with pytest.raises(LocalFailed, match="ended by SIGILL"):
        run(python("import os; os.kill(os.getpid(), 4)"), what="it", logs=tmp_path, seconds_max=30)


SLEEP = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"


def test_it_is_bounded_in_time_and_nothing_is_left(tmp_path):
    with pytest.raises(LocalFailed, match="took longer than 1 s"):
        run(python(SLEEP), what="it", logs=tmp_path, seconds_max=1)
    assert process.identify(int((tmp_path / "stdout").read_text())) is None


@pytest.fixture
def interruptible():
    """Also where the tests run in the background of a shell, which has them ignore interruptions."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interruption_ends_the_program_too(tmp_path):
    def interrupt(printed):
        if printed:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run(python(SLEEP), what="it", logs=tmp_path, seconds_max=30, tick=interrupt)
    assert process.identify(int((tmp_path / "stdout").read_text())) is None

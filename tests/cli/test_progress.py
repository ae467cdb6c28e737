import io

from joytoken.cli.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(monkeypatch, stream, steps, step_s):
    monkeypatch.setattr("sys.stderr", stream)
    now = [0.0]
    told = Progress(lambda: now[0])
    for done in range(steps):
        told(done, steps, f"step {done}")
        now[0] += step_s
    told.end()
    return stream.getvalue()


def test_what_is_quick_says_nothing(monkeypatch):
    assert run(monkeypatch, io.StringIO(), 4, 1.0) == ""
    assert run(monkeypatch, Terminal(), 4, 0.1) == ""


def test_a_pipe_gets_a_line_now_and_then(monkeypatch):
    assert run(monkeypatch, io.StringIO(), 20, 1.0) == " 25 %  step 5\n 50 %  step 10\n 75 %  step 15\n"


def test_a_terminal_has_one_line_and_has_it_back(monkeypatch):
    said = run(monkeypatch, Terminal(), 3, 1.0)
    assert "\r 33 %  step 1\r 66 %  step 2" in said
    assert said.endswith("\r")
    assert "\n" not in said

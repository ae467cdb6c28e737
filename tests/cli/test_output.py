import pytest

from joytoken.cli.output import Output


@pytest.fixture
def terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    out = Output()
    out.terminal = True
    return out


def test_a_terminal_gets_a_table_without_markup_surprises(terminal, capsys):
    terminal.table(("name", "n"), [("[red]x[/red]", 1), (None, True)], right=("n",))
    text = capsys.readouterr().out
    assert "[red]x[/red]" in text
    assert "—" in text
    assert "yes" in text
    terminal.table(("name",), [])
    assert "Nothing there yet" in capsys.readouterr().err


def test_a_pipe_gets_one_line_a_row_whatever_is_in_it(capsys):
    Output().table(("a", "b"), [("x\ty", "1\n2")])
    assert capsys.readouterr().out == "a\tb\nx y\t1 2\n"


def test_facts_leave_out_what_is_not_there(terminal, capsys):
    terminal.facts([("name", "x"), ("nothing", None), ("longer", ["a", "b"])])
    assert capsys.readouterr().out == "name    x\nlonger  a, b\n"


def test_a_document_is_one_line_for_programs_and_many_for_eyes(terminal, capsys):
    Output().document({"a": 1})
    terminal.document({"a": 1})
    assert capsys.readouterr().out == '{"a":1}\n{\n  "a": 1\n}\n'

"""`docs/errors.md` has every code that the source can give, with its status and type, and no other."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import joytoken
from joytoken.cli import failure
from joytoken.domain import errors
from joytoken.domain.errors import GatewayError
from joytoken.providers import upstream
from joytoken.providers.upstream import UpstreamKind

ROOT = Path(__file__).resolve().parents[2]
SOURCE = Path(joytoken.__file__).parent
KINDS = {
    name: kind
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, GatewayError) and kind is not GatewayError
}
# Codes that are put together at run time: where, by which expression, and what can come of it.
MADE = {
    ("api/access.py", "error.code"): (),  # a HeadError's, found where that is raised
    ("gateway/admit.py", "code"): ("daily_limit", "weekly_limit"),
    ("gateway/call.py", "f'{name}_missing'"): ("messages_missing",),
    ("gateway/invoke.py", "f'provider_{failure.kind}'"): (),  # a ProviderFailure's, see `provider_codes`
    ("gateway/relay.py", "f'provider_{failure.kind}'"): (),
    ("store/catalog.py", "code"): ("unknown_provider", "unknown_model", "unknown_deployment"),
}
Row = tuple[int, str, str]  # status, type, code


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Each call in the source with its file and the bare name of what is called."""
    for path in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                yield str(path.relative_to(SOURCE)), name, node


def argument(call: ast.Call, position: int, name: str) -> ast.expr | None:
    if len(call.args) > position:
        return call.args[position]
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def constant(node: ast.expr | None, default: int) -> int:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, int) else default


def given(file: str, name: str, call: ast.Call) -> Iterator[Row]:
    """The rows that a call which makes an error stands for."""
    if name in KINDS:
        kind = KINDS[name]
        code, status = argument(call, 1, "code"), constant(argument(call, 9, "status"), kind.status)
        if code is None:
            yield status, kind.type, kind.default_code
        elif isinstance(code, ast.Constant):
            yield status, kind.type, code.value
        else:
            for made in MADE[file, ast.unparse(code)]:
                yield status, kind.type, made
    elif name == "HeadError":
        code = argument(call, 0, "code")
        assert isinstance(code, ast.Constant), f"{file}: {ast.unparse(call)}"
        yield constant(argument(call, 2, "status"), 400), "invalid_request_error", code.value
    elif name == "refuse" and isinstance(argument(call, 2, "code"), ast.Constant):
        status, kind_name, code = (node.value for node in call.args[:3] if isinstance(node, ast.Constant))
        yield status, kind_name, code


def provider_codes() -> Iterator[Row]:
    """What the failures of providers become: the transport's kinds, and those that the gateway names itself."""
    for kind in get_args(UpstreamKind):
        yield upstream._STATUS.get(kind, 502), "upstream_error", f"provider_{kind}"
    for file, name, call in calls():
        if name == "ProviderFailure" and file != "providers/openai.py":
            kind = argument(call, 0, "kind")
            assert isinstance(kind, ast.Constant), f"{file}: {ast.unparse(call)}"
            yield constant(argument(call, 9, "status"), 502), "upstream_error", f"provider_{kind.value}"


def from_source() -> set[Row]:
    found = {row for file, name, call in calls() for row in given(file, name, call)}
    return found | set(provider_codes())


def from_document() -> list[tuple[str, str, str]]:
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    return re.findall(r"^\| ([\d, ]+) \| `(\w+)` \| `(\w+)` \| [^|]+ \| [^|]+ \|$", text, re.MULTILINE)


def test_each_code_stands_in_the_document_once():
    rows = [(kind, code) for _, kind, code in from_document()]
    assert sorted(rows) == sorted(set(rows))
    assert set(rows) == {(kind, code) for _, kind, code in from_source()}


def test_the_statuses_are_right():
    shown = {(kind, code): {int(one) for one in statuses.split(",")} for statuses, kind, code in from_document()}
    wrong = [row for row in from_source() if row[0] not in shown[row[1:]]]
    assert not wrong


def test_codes_that_are_put_together_are_known():
    """A new expression fails in `given`; one that is gone must leave the table."""
    seen = set()
    for file, name, call in calls():
        code = argument(call, 1, "code") if name in KINDS else None
        if code is not None and not isinstance(code, ast.Constant):
            seen.add((file, ast.unparse(code)))
    assert seen == set(MADE)


def test_the_exit_codes_are_those_of_the_command_line():
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    shown = {int(code) for code in re.findall(r"^\| (\d) \| \w[^|]* \|$", text, re.MULTILINE)}
    assert shown == {0, failure.FAILED, failure.USAGE, failure.NOT_FOUND, failure.REFUSED, failure.UNREACHABLE}


def test_the_statuses_of_the_transport_are_of_kinds_that_exist():
    assert set(upstream._STATUS) <= set(get_args(UpstreamKind))

"""`docs/authentication.md` names every field of a policy, its option and its refusal, and every act of management."""

import re
from pathlib import Path

import click

from joytoken.admin.operations import OPERATIONS
from joytoken.admin.policy import PolicyDocument
from joytoken.cli.keys import create
from tests.docs.test_errors import from_document

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "authentication.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(--[\w-]+)[^`]*`[ …]* \| `(\w+)` \| [^|]+ \| ([^|]+) \|$", TEXT, re.MULTILINE)


def test_every_field_of_a_policy_is_there():
    assert {field for _, field, _ in ROWS} == {*PolicyDocument.__struct_fields__, "expires"}


def test_the_options_set_these_fields():
    options = {
        name: parameter.name
        for parameter in create.params
        if isinstance(parameter, click.Option)
        for name in parameter.opts
    }
    assert not [(option, field) for option, field, _ in ROWS if options.get(option) != field]


def test_the_refusals_are_codes():
    known = {code for _, _, code in from_document()}
    named = {code for _, _, refusal in ROWS for code in re.findall(r"`(\w+)`", refusal)}
    assert named
    assert named <= known


def test_every_act_of_management_is_there():
    section = TEXT.partition("## The management API")[2]
    shown = set(re.findall(r"`((?:GET|POST|PATCH|PUT|DELETE) /[^`]*)`", section))
    assert shown == {f"{operation.method} {operation.path}" for operation in OPERATIONS}

import tomllib

import pytest

from joytoken.config.lines import key_lines

NESTED = """\
# a comment with key = 1 in it
title = "x"  # another

[server]
port = 1
  host = 'a # not a comment'
[money.usd_per_credit]
economy = "1"
[models."openai/gpt-4o-mini"]
tier = "economy"
"""

DOTTED = """\
server.port = 1
server . host = "a"
money.usd_per_credit.economy = "1"
"a.b"."c d" = 2
"""

INLINE = """\
money = { zone = "UTC",  usd_per_credit = { economy = "1", premium = "2" } }
[server]
trusted_proxies = [
  "10.0.0.0/8", # one
  "]",
]
port = 2
limits = [ { a = 1 },
  { b = 2 } ]
"""

STRINGS = '''\
a = """
b = 1
\\""" still
"""
c = \'\'\'
d = 1\'\'\'
e = """quoted""""
f = "x = \\"y\\" # z"
g = 1979-05-27T07:32:00Z
'''

ARRAYS = """\
[[things]]
name = "one"
[[things]]
colour = "two"
"""


@pytest.mark.parametrize(
    ("text", "path", "line"),
    (
        (NESTED, ("title",), 2),
        (NESTED, ("server",), 4),
        (NESTED, ("server", "port"), 5),
        (NESTED, ("server", "host"), 6),
        (NESTED, ("money", "usd_per_credit"), 7),
        (NESTED, ("money", "usd_per_credit", "economy"), 8),
        (NESTED, ("models", "openai/gpt-4o-mini", "tier"), 10),
        (DOTTED, ("server", "port"), 1),
        (DOTTED, ("server", "host"), 2),
        (DOTTED, ("money", "usd_per_credit", "economy"), 3),
        (DOTTED, ("a.b", "c d"), 4),
        (INLINE, ("money", "zone"), 1),
        (INLINE, ("money", "usd_per_credit", "premium"), 1),
        (INLINE, ("server", "trusted_proxies"), 3),
        (INLINE, ("server", "port"), 7),
        (INLINE, ("server", "limits", "b"), 9),
        (STRINGS, ("a",), 1),
        (STRINGS, ("c",), 5),
        (STRINGS, ("e",), 7),
        (STRINGS, ("f",), 8),
        (STRINGS, ("g",), 9),
        (ARRAYS, ("things", "name"), 2),
        (ARRAYS, ("things", "colour"), 4),
    ),
)
def test_line_of_a_key(text, path, line):
    assert key_lines(text)[path] == line


@pytest.mark.parametrize("text", (NESTED, DOTTED, INLINE, STRINGS, ARRAYS, ""))
def test_every_key_has_a_line_and_no_other_is_invented(text):
    def paths(value, path=()):
        if isinstance(value, list):
            return {found for item in value for found in paths(item, path)}
        if not isinstance(value, dict):
            return set()
        return {(*path, key) for key in value} | {found for key in value for found in paths(value[key], (*path, key))}

    assert set(key_lines(text)) == paths(tomllib.loads(text))

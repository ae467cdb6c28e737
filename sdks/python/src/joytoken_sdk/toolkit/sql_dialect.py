"""How each kind of database parts a text into words, strings and comments."""

import re
from dataclasses import dataclass

STRING = "''"
"""What a string or a quoted name becomes."""

UNCLEAR = "\0"
"""What databases read in different ways, so that no statement needs it. No word and no sign equals it."""

_ESCAPED_STRING = "E''"  # apart, since the next line may go on with it
_SPACE = re.compile(r"[ \t\r\n\f\v\0]+")
# White space to some databases, and part of a name to others.
_ODD_SPACE = re.compile(r"[\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]")
_NAME_START, _NAME = r"A-Za-z_\x80-\U0010ffff", r"A-Za-z0-9_\x80-\U0010ffff"
_WORD = re.compile(f"[{_NAME}]+")
_DOLLAR_WORD = re.compile(f"[{_NAME_START}][{_NAME}$]*|[0-9]+")
_DOLLAR_TAG = re.compile(rf"\$(?:[{_NAME_START}][{_NAME}]*)?\$")
_PARAMETER = re.compile(rf"[$@#:](?:[{_NAME}$]|::)+(?:\([^ \t-\r)]*\)?)?")
_COMMENT_MARK = re.compile(r"/\*|\*/")
_LONE_RETURN = re.compile(r"\r(?!\n)")


@dataclass(frozen=True, slots=True)
class Dialect:
    """One of them. Each is as exact as its database: whichever is asked, one of them sees what it sees."""

    quotes: str
    """Characters that quote strings and names."""
    backslash: str = ""
    """Those of the quotes within which a backslash escapes."""
    brackets: bool = False
    """`[a name]`"""
    doubled: bool = False
    """`]]` is a bracket within `[a name]`."""
    dollar: bool = False
    r"""`$tag$a string$tag$`, `E'a string with \''`, and names with a `$` that begins no string: `a$$`."""
    parameters: bool = False
    """`$name(anything)` is a parameter, and a name may have a `$`."""
    nested: bool = False
    """Comments within comments."""
    hash: bool = False
    """Comments from `#` to the end of the line, and from `--` only before white space; `/*!` begins no comment."""


DIALECTS = (
    Dialect("'\"`", brackets=True, parameters=True),  # SQLite
    Dialect("'\"", dollar=True, nested=True),  # PostgreSQL
    Dialect("'\"", backslash="'", dollar=True, nested=True),  # PostgreSQL with backslashes in plain strings
    Dialect("'\"`", backslash="'\"", hash=True),  # MySQL
    Dialect("'\"`", backslash="'", hash=True),  # MySQL with names in double quotes
    Dialect("'\"`", hash=True),  # MySQL without backslashes
    Dialect("'\"", brackets=True, doubled=True, nested=True),  # SQL Server
)


def tokens_of(dialect: Dialect, text: str) -> list[str]:
    """Return the words of a text in capitals and its signs, one by one, without comments."""
    tokens: list[str] = []
    at = 0
    while at < len(text):
        if (space := _SPACE.match(text, at)) is not None:
            at = space.end()
            continue
        at, token = _next(dialect, text, at, tokens[-1] if tokens else "")
        if token:
            tokens.append(token)
    return tokens


def _next(dialect: Dialect, text: str, at: int, before: str) -> tuple[int, str]:
    """Return where what stands at a place ends, and its token: a comment has none."""
    if (comment := _comment(dialect, text, at)) is not None:
        return comment
    if (quoted := _quoted(dialect, text, at, before)) is not None:
        return quoted
    if dialect.parameters and (parameter := _PARAMETER.match(text, at)) is not None:
        return parameter.end(), STRING
    word = (_DOLLAR_WORD if dialect.dollar or dialect.parameters else _WORD).match(text, at)
    if word is None:
        return at + 1, text[at]
    return word.end(), UNCLEAR if _ODD_SPACE.search(word[0]) else word[0].upper()


def _comment(dialect: Dialect, text: str, at: int) -> tuple[int, str] | None:
    if _begins_line_comment(dialect, text, at):
        end = _after(text, "\n", at)
        # A carriage return alone ends a line for some databases, and for others not.
        return end, UNCLEAR if _LONE_RETURN.search(text, at, end) else ""
    if dialect.hash and text.startswith(("/*!", "/*M!"), at):
        return at + 3, UNCLEAR  # it may be run
    if not text.startswith("/*", at):
        return None
    if not dialect.nested:
        return _after(text, "*/", at + 2), ""
    depth = 0
    for mark in _COMMENT_MARK.finditer(text, at):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return mark.end(), ""
    return len(text), ""


def _begins_line_comment(dialect: Dialect, text: str, at: int) -> bool:
    if dialect.hash and text[at] == "#":
        return True
    return text.startswith("--", at) and (not dialect.hash or text[at + 2 : at + 3] <= " " or text[at + 2] == "\x7f")


def _quoted(dialect: Dialect, text: str, at: int, before: str) -> tuple[int, str] | None:
    sign = text[at]
    if sign in dialect.quotes:
        # E right before a string says that backslashes escape in it, and in the strings that it goes on with.
        marked = dialect.dollar and sign == "'"
        marked = marked and (before == _ESCAPED_STRING or (before == "E" and text[at - 1] in "eE"))
        end = _after_quote(text, at, sign, backslash=marked or sign in dialect.backslash)
        return end, _ESCAPED_STRING if marked else STRING
    if sign == "[" and dialect.brackets:
        return _after_quote(text, at, "]", backslash=False) if dialect.doubled else _after(text, "]", at), STRING
    tag = _DOLLAR_TAG.match(text, at) if dialect.dollar else None
    return None if tag is None else (_after(text, tag[0], tag.end()), STRING)


def _after_quote(text: str, at: int, quote: str, *, backslash: bool) -> int:
    here = at + 1
    while here < len(text):
        if backslash and text[here] == "\\":
            here += 2
        elif text[here] != quote:
            here += 1
        elif text[here + 1 : here + 2] == quote:
            here += 2
        else:
            return here + 1
    return len(text)


def _after(text: str, end: str, start: int) -> int:
    """Return the position after an end; without one, that of the text's own end."""
    found = text.find(end, start)
    return len(text) if found < 0 else found + len(end)

"""Whether a statement only reads: the first of two fences, the session is the other."""

import re
from dataclasses import dataclass

_STATEMENT_BYTES_MAX = 64 << 10
_SPACE = " \t\r\n\f\v\0"
_WORD = re.compile(r"[A-Za-z0-9_\x80-\U0010ffff]+")
_DOLLAR_WORD = re.compile(r"[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*|[0-9]+")
_DOLLAR_TAG = re.compile(r"\$(?:[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*)?\$")
_STRING = "''"  # the token of a string or a quoted name, which equals nothing

# Reserved words that no reading statement has.
_WRITING = frozenset(
    (
        *("INSERT", "UPDATE", "DELETE", "MERGE", "UPSERT", "TRUNCATE", "DROP", "ALTER", "CREATE", "ATTACH", "DETACH"),
        *("VACUUM", "REINDEX", "GRANT", "REVOKE", "INTO", "EXECUTE", "EXEC", "CALL", "COMMIT", "ROLLBACK"),
    )
)
_EXPLAIN_OPTIONS = frozenset(
    (
        *("QUERY", "PLAN", "ANALYZE", "ANALYSE", "VERBOSE", "EXTENDED", "PARTITIONS", "FORMAT", "JSON", "TREE"),
        *("TRADITIONAL", "TEXT", "XML", "YAML", "="),
    )
)
# Pragmas that only read: with an argument, and without one.
_READING_PRAGMAS = frozenset(
    (
        *("TABLE_INFO", "TABLE_XINFO", "TABLE_LIST", "INDEX_LIST", "INDEX_INFO", "INDEX_XINFO", "FOREIGN_KEY_LIST"),
        *("FOREIGN_KEY_CHECK", "INTEGRITY_CHECK", "QUICK_CHECK"),
    )
)
_PLAIN_PRAGMAS = frozenset(
    (
        *("DATABASE_LIST", "COLLATION_LIST", "FUNCTION_LIST", "MODULE_LIST", "PRAGMA_LIST", "COMPILE_OPTIONS"),
        *("USER_VERSION", "SCHEMA_VERSION", "APPLICATION_ID", "PAGE_COUNT", "PAGE_SIZE", "FREELIST_COUNT", "ENCODING"),
        *("JOURNAL_MODE", "FOREIGN_KEYS", "DATA_VERSION", "QUERY_ONLY"),
    )
)


class NotReadOnly(ValueError):
    """A statement that may write, or more than one."""

    def __init__(self) -> None:
        super().__init__("only read-only statements are allowed")


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How a database parts a statement into words, strings and comments."""

    quotes: str
    """Characters that quote strings and names."""
    backslash: str = ""
    """Those of the quotes within which a backslash escapes."""
    brackets: bool = False
    """`[a name]`"""
    dollar: bool = False
    r"""`$tag$a string$tag$`, `E'a string with \''`, and names with a `$` that begins no string: `a$$`"""
    nested: bool = False
    """Comments within comments."""
    hash: bool = False
    """Comments from # to the end of the line, and from -- only before white space."""


# A statement only reads where all of them say so: what one takes for a string may be a command for another.
_DIALECTS = (
    _Dialect("'\"`", brackets=True),  # SQLite
    _Dialect("'\"", dollar=True, nested=True),  # PostgreSQL
    _Dialect("'\"`", backslash="'\"", hash=True),  # MySQL
    _Dialect("'\"", backslash="'", dollar=True),  # PostgreSQL with backslashes in plain strings
    _Dialect("'\"`", hash=True),  # MySQL without backslashes
    _Dialect("'\"", brackets=True, nested=True),  # SQL Server
)


def check_read_only(statement: str) -> None:
    """Refuse what is not one statement that only reads. Raises NotReadOnly, or ValueError of none at all."""
    if len(statement.encode("utf-8", "replace")) > _STATEMENT_BYTES_MAX:
        raise ValueError("the statement is too long")
    for dialect in _DIALECTS:
        tokens = _tokens(dialect, statement)
        if tokens and tokens[-1] == ";":
            tokens.pop()
        if not tokens:
            raise ValueError("empty statement")
        if ";" in tokens or not _reads(tokens):
            raise NotReadOnly


def has_inner_semicolon(statement: str) -> bool:
    """Tell whether a semicolon stands before the end of a statement, also in a string or a comment.

    Where nothing may be written such a statement is refused: what ends a string is read differently by different
    databases, and a second statement could end the session that holds the first.
    """
    return ";" in statement.rstrip(" \t\r\n;")


def is_read_only_statement(statement: str) -> bool:
    """Tell whether a text is one statement that only reads, whatever the database."""
    try:
        check_read_only(statement)
    except ValueError:
        return False
    return True


def _reads(tokens: list[str]) -> bool:
    if tokens[0] == "PRAGMA":
        return _reads_pragma(tokens[1:])
    if tokens[0] == "EXPLAIN":
        if not _explains_reading(tokens[1:]):
            return False
    elif tokens[0] not in {"SELECT", "WITH", "SHOW"}:
        return False
    if _WRITING & set(tokens):
        return False
    # The function replace(…) reads; the statement does not.
    return all(
        token != "REPLACE" or following == "(" for token, following in zip(tokens, [*tokens[1:], ""], strict=True)
    )


def _explains_reading(tokens: list[str]) -> bool:
    """Tell whether what is explained, and with ANALYZE executed, only reads. Options stand before it."""
    depth = 0
    for token in tokens:
        if token in {"SELECT", "WITH"}:
            return True
        depth += {"(": 1, ")": -1}.get(token, 0)
        if depth == 0 and token != ")" and token not in _EXPLAIN_OPTIONS:
            return False
    return False


def _reads_pragma(tokens: list[str]) -> bool:
    if len(tokens) > 2 and tokens[1] == ".":
        tokens = tokens[2:]
    if not tokens or "=" in tokens:
        return False
    return tokens[0] in _READING_PRAGMAS or (len(tokens) == 1 and tokens[0] in _PLAIN_PRAGMAS)


def _tokens(dialect: _Dialect, text: str) -> list[str]:
    """Return the words of a statement in capitals and its other characters, one by one, without comments."""
    tokens: list[str] = []
    at = 0
    while at < len(text):
        if text[at] in _SPACE:
            at += 1
        elif (after := _after_comment(dialect, text, at)) > at:
            at = after
        elif (after := _after_string(dialect, text, at, tokens)) > at:
            at = after
            tokens.append(_STRING)
        elif (word := (_DOLLAR_WORD if dialect.dollar else _WORD).match(text, at)) is not None:
            at = word.end()
            tokens.append(word[0].upper())
        else:
            tokens.append(text[at])
            at += 1
    return tokens


def _after_comment(dialect: _Dialect, text: str, at: int) -> int:
    """Return where a comment ends that begins here; `at` itself where none does."""
    if dialect.hash and text[at] == "#":
        return _after(text, "\n", at)
    if text.startswith("--", at) and (not dialect.hash or text[at + 2 : at + 3] <= " "):
        return _after(text, "\n", at)
    for executed in ("/*!", "/*M!"):  # MySQL runs what is within
        if text.startswith(executed, at):
            return at + len(executed)
    if not text.startswith("/*", at):
        return at
    if not dialect.nested:
        return _after(text, "*/", at + 2)
    depth = 0
    for mark in re.finditer(r"/\*|\*/", text[at:]):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return at + mark.end()
    return len(text)


def _after_string(dialect: _Dialect, text: str, at: int, tokens: list[str]) -> int:
    """Return where a string or a quoted name ends that begins here; `at` itself where none does."""
    character = text[at]
    if character in dialect.quotes:
        # E says that backslashes escape only where it stands right before the quote.
        marked = dialect.dollar and character == "'" and tokens[-1:] == ["E"] and text[at - 1] in "eE"
        return _after_quote(text, at, backslash=marked or character in dialect.backslash)
    if dialect.brackets and character == "[":
        return _after(text, "]", at)
    tag = _DOLLAR_TAG.match(text, at) if dialect.dollar else None
    return at if tag is None else _after(text, tag[0], tag.end())


def _after_quote(text: str, at: int, *, backslash: bool) -> int:
    quote, here = text[at], at + 1
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

"""Whether a statement only reads: the first of two fences, the session is the other."""

from joytoken_sdk.toolkit.sql_dialect import DIALECTS, UNCLEAR, tokens_of

_STATEMENT_BYTES_MAX = 64 << 10

# Words that no reading statement has: SQL Server begins a new one with them, without a sign between.
_WRITING = frozenset(
    (
        *("INSERT", "UPDATE", "DELETE", "MERGE", "UPSERT", "TRUNCATE", "DROP", "ALTER", "CREATE", "ATTACH", "DETACH"),
        *("VACUUM", "REINDEX", "GRANT", "REVOKE", "INTO", "EXECUTE", "EXEC", "CALL", "COMMIT", "ROLLBACK"),
        *("BACKUP", "RESTORE", "DBCC", "DENY", "KILL", "RECONFIGURE", "SHUTDOWN"),
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


def check_read_only(statement: str) -> None:
    """Refuse what is not one statement that only reads. Raises NotReadOnly, or ValueError of none at all.

    It is looked at as each kind of database would, since none is known for sure.
    """
    if len(statement.encode("utf-8", "replace")) > _STATEMENT_BYTES_MAX:
        raise ValueError("the statement is too long")
    for dialect in DIALECTS:
        tokens = tokens_of(dialect, statement)
        if tokens and tokens[-1] == ";":
            tokens.pop()
        if not tokens:
            raise ValueError("empty statement")
        if ";" in tokens or UNCLEAR in tokens or not _reads(tokens):
            raise NotReadOnly


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

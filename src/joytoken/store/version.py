"""Which schema a database has, told without Alembic: a start on a current database need not load it."""

from typing import Literal

import sqlalchemy as sa

# Every revision in `migrations/versions`, oldest first; a test compares.
REVISIONS = ("0001",)
HEAD = REVISIONS[-1]
VERSION_TABLE = "alembic_version"  # where Alembic keeps it

State = Literal["current", "empty", "older", "newer", "foreign"]


def is_current(conn: sa.Connection) -> bool:
    """Whether the database has exactly the schema that this code was written for."""
    return schema_state(conn) == "current"


def schema_state(conn: sa.Connection) -> State:
    """How the database's schema stands to this code's; "foreign" where its tables are not this project's."""
    inspector = sa.inspect(conn)
    if not inspector.has_table(VERSION_TABLE):
        return "foreign" if inspector.get_table_names() else "empty"
    found = [str(row[0]) for row in conn.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}")]  # noqa: S608
    if not found:
        return "foreign" if len(inspector.get_table_names()) > 1 else "empty"
    if found == [HEAD]:
        return "current"
    return "older" if len(found) == 1 and found[0] in REVISIONS else "newer"

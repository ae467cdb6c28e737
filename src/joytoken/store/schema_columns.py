"""The kinds of columns that all tables share, and the one place where tables are listed."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateIndex
from sqlalchemy.sql.compiler import DDLCompiler

# Names for every constraint: a later migration can only change what it can name.
NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
metadata = sa.MetaData(naming_convention=NAMES)
described = sa.MetaData(naming_convention=NAMES)  # what reads like a table, and is none
_WHERE = "where"  # of an index: the rows that it has


def record_table(of: sa.Table, name: str, into: sa.MetaData | None = None) -> sa.Table:
    """A table like another one, with indexes and checks of its own names."""
    made = of.to_metadata(sa.MetaData(naming_convention=NAMES) if into is None else into, name=name)
    conditions = {index.name: index.info for index in of.indexes}  # which the copies lack
    for index in made.indexes:
        index.info.update(conditions[index.name])
    parts: list[Any] = [*made.indexes, *made.constraints]
    for part in parts:
        if isinstance(part.name, str):
            part.name = sa.sql.elements.conv(str(part.name).replace(f"_{of.name}", f"_{name}", 1))
    return made


def partial_index(name: str, column: str, where: str) -> sa.Index:
    """An index of those rows alone that a condition holds for.

    SQLAlchemy has a parameter of each database for the condition, and loads all of a database for its parameter.
    """
    return sa.Index(name, column, info={_WHERE: where})


@compiles(CreateIndex)
def _create_index(element: CreateIndex, compiler: DDLCompiler, **options: Any) -> str:
    made: str = compiler.visit_create_index(element, **options)  # type: ignore[no-untyped-call]
    where = element.element.info.get(_WHERE)
    return made if where is None else f"{made} WHERE {where}"


# SQLite numbers rows by itself only where the type is spelled INTEGER.
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# PostgreSQL compares text by the rules of a language, unless told to compare bytes as SQLite does.
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def text(name: str, default: str | None = "") -> sa.Column[str]:
    """A text that is always there."""
    return sa.Column(name, TEXT, nullable=False, server_default=default)


def big(name: str, default: str | None = "0") -> sa.Column[int]:
    """A whole number of 64 bits that is always there."""
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=default)


def flag(name: str) -> sa.Column[bool]:
    """Yes or no."""
    return sa.Column(name, sa.Boolean, nullable=False)

"""Alembic's way in: runs the revisions on the connection that `joytoken.store.migrate` hands over."""

from alembic import context

from joytoken.store import schema_credit  # noqa: F401 - its tables belong to the metadata
from joytoken.store.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=True,  # the caller's transaction carries everything, on SQLite as well
    render_as_batch=True,  # SQLite alters a table by copying it
)
with context.begin_transaction():
    context.run_migrations()

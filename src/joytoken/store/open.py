"""From a URL to the store, with its schema seen to."""

from joytoken.store.audit import Audit
from joytoken.store.budgets import Budgets
from joytoken.store.catalog import CatalogTables
from joytoken.store.engine import BUSY_MS, Database, SchemaMismatch
from joytoken.store.idempotency import Idempotency
from joytoken.store.incident import Incidents
from joytoken.store.keys import Keys
from joytoken.store.ledger import Ledger
from joytoken.store.setting import Settings
from joytoken.store.usage import UsageTable
from joytoken.store.version import HEAD, schema_state
from joytoken.store.webhooks import Webhooks


class Store:
    """One database and its rooms. Synchronous and thread-safe; each method is one transaction.

    Every method may raise `engine.StoreUnavailable`.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.keys = Keys(database)
        self.budgets = Budgets(database)
        self.catalog = CatalogTables(database)
        self.ledger = Ledger(database)
        self.usage = UsageTable(database)
        self.idempotency = Idempotency(database)
        self.audit = Audit(database)
        self.incidents = Incidents(database)
        self.webhooks = Webhooks(database)
        self._settings = Settings(database)

    def generation(self) -> int:
        """The configuration generation: it rises by one with each change of keys, catalog or settings."""
        return self._settings.generation()

    def setting(self, name: str) -> str | None:
        """A setting's value, or None where it was never set."""
        return self._settings.get(name)

    def put_setting(self, name: str, value: str) -> None:
        """Set a value."""
        self._settings.put(name, value)

    def close(self) -> None:
        """Close all connections."""
        self.database.close()


def open_store(url: str, *, migrate: bool = False, busy_ms: int = BUSY_MS) -> Store:
    """Open the database at a URL such as ``sqlite:////data/joytoken.db``; an empty one gets its tables.

    `migrate`: bring an older schema up to date. Raises SchemaMismatch for an older one without it, for one newer than
    this code, and for tables of something else; StoreUnavailable where the database cannot be reached.
    """
    database = Database(url, busy_ms=busy_ms)
    try:
        _see_to_schema(database, migrate=migrate)
        return Store(database)
    except BaseException:
        database.close()
        raise


def _see_to_schema(database: Database, *, migrate: bool) -> None:
    with database.read() as conn:
        state = schema_state(conn)
    if state == "newer":
        raise SchemaMismatch(f"the database was written by a newer JoyToken; this one knows its schema up to {HEAD}")
    if state == "foreign":
        raise SchemaMismatch("the database has tables, but they are not JoyToken's")
    if state == "older" and not migrate:
        raise SchemaMismatch(f"the database's schema is older than {HEAD}: `joytoken db upgrade` brings it up to date")
    if state != "current":
        _upgrade(database)


def _upgrade(database: Database) -> None:
    from joytoken.store.migrate import upgrade_database  # Alembic: heavy, and hardly ever needed

    upgrade_database(database)

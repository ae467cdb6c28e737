"""Management on the data folder itself; it works while a gateway runs on it, which sees each change within a second."""

import os

import msgspec

from joytoken.admin.desk import Desk
from joytoken.admin.operation import Operation, Req, Res
from joytoken.admin.vault import SECRET_FILE, open_vault
from joytoken.cli.progress import Progress
from joytoken.config.settings import Settings
from joytoken.domain.errors import InvalidRequest, NotFound, Unavailable
from joytoken.store.engine import StoreUnavailable
from joytoken.store.open import open_store


class Direct:
    """Management on a data folder."""

    def __init__(self, settings: Settings) -> None:
        """Raises NotFound where the folder was never set up, and StoreError where its database cannot be used."""
        if not (settings.data_dir / SECRET_FILE).is_file():
            raise NotFound(f"there is no gateway's data in {settings.data_dir}", "no_data_dir")
        vault = open_vault(settings.data_dir)
        try:
            self._store = open_store(settings.database_url)
        except StoreUnavailable as error:
            raise Unavailable(str(error), "store_unavailable") from error
        self._progress = Progress()
        self.desk = Desk(self._store, settings, vault, environ=os.environ, progress=self._progress)

    def call(self, operation: Operation[Req, Res], request: Req) -> Res:
        """Do one act. Raises GatewayError."""
        try:
            # The same check of types that a request gets on its way through the API.
            checked = msgspec.convert(msgspec.to_builtins(request), operation.request)
        except msgspec.ValidationError as error:
            raise InvalidRequest(str(error)) from None
        try:
            return operation.run(self.desk, checked)
        except StoreUnavailable as error:
            raise Unavailable(str(error), "store_unavailable") from error
        finally:
            self._progress.end()

    def close(self) -> None:
        """Close the database."""
        self._store.close()

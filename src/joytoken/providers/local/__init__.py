"""A small real model on this machine: fetched once, then served by a supervised child process on loopback.

`LocalModel` is the whole interface. Its folder (`<data dir>/local`) holds

    venv/           the server and the converter, in a virtual environment of their own
    model/          the weights, and beside them what the server prepares from them for this processor
    manifest.json   written last: without it nothing is installed
    parts/          what an installation is working on; gone when it is done
    run/            state.json, launch.json, the server's log and its home
    install.lock, run.lock
"""

from joytoken.providers.local.faults import LocalError, LocalFailed, NotInstalled, Unsupported
from joytoken.providers.local.model import LocalModel
from joytoken.providers.local.status import LocalStatus, Progress

__all__ = ["LocalError", "LocalFailed", "LocalModel", "LocalStatus", "NotInstalled", "Progress", "Unsupported"]

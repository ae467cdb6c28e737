"""The import contracts see what they are there to see: a small house with every fault, and one with every exception."""

import re
import subprocess
import sys

from tests.house.conftest import ROOT

FAULTS = {
    "providers/presets.py": "import joytoken.gateway.exchange",  # up
    "routing/score.py": "import joytoken.escrow.engine",  # next door
    "gateway/exchange.py": "import joytoken.admin.keys",  # the other plane
    "cli/keys.py": "import joytoken.serve",  # only `serve` may
    "domain/ids.py": "import random",
    "domain/__init__.py": "import time",
    "escrow/engine.py": "import sqlite3",
    "admin/keys.py": "from sqlalchemy import select",
    "routing/health.py": "import httptools",
    "providers/openai.py": "import starlette.requests",
    "config/load.py": "import rich",
}
EXCEPTIONS = {
    "app.py": "import starlette.applications, joytoken.api.asgi, joytoken.gateway.exchange, joytoken.store.open",
    "serve.py": "import joytoken.app, joytoken.workers.channel, uvicorn",
    "supervise.py": "import joytoken.workers.supervisor, joytoken.admin.setup",
    "cli/serve.py": "import joytoken.serve, joytoken.supervise, uvicorn, click",
    "cli/keys.py": "import rich.table, joytoken.admin.keys",
    "api/asgi.py": "import httptools, starlette.routing, uvicorn, joytoken.gateway.exchange, joytoken.admin.keys",
    "gateway/exchange.py": "import joytoken.routing.score, joytoken.escrow.engine, joytoken.store.open",
    "admin/keys.py": "import joytoken.store.open",
    "routing/score.py": "import joytoken.providers.transport, joytoken.domain.ids",
    "escrow/engine.py": "import time, joytoken.store.open",
    "providers/transport.py": "import ssl",
    "providers/transport_connection.py": "import httptools",
    "store/open.py": "import sqlite3, sqlalchemy.pool",
    "store/migrations/env.py": "import alembic",
    "domain/ids.py": "import hashlib, datetime",
}

# The folder where it runs comes first on the path, before the installed package.
LINT = """
import sys
from importlinter.cli import lint_imports
sys.path.insert(0, "")
sys.exit(lint_imports(no_cache=True))
"""


def lint(house, files):
    """Build the package `files` in the folder `house`, and return what the contracts of the clone say about it."""
    for name, text in files.items():
        path = house / "joytoken" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
        for folder in path.relative_to(house).parents[:-1]:
            (house / folder / "__init__.py").touch()
    (house / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text(encoding="utf-8"), encoding="utf-8")
    return subprocess.run([sys.executable, "-c", LINT], cwd=house, capture_output=True, text=True, check=False).stdout


def test_every_fault_is_seen(tmp_path):
    report = lint(tmp_path, {"app.py": "", "serve.py": "", **FAULTS})
    seen = set(re.findall(r"joytoken(?:\.\w+)* -> [\w.]+", report))
    for name, statement in FAULTS.items():
        module = "joytoken." + name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        imported = statement.split()[1]
        whole = imported if imported.startswith("joytoken") else imported.split(".")[0]
        assert f"{module} -> {whole}" in seen, report


def test_every_exception_is_allowed(tmp_path):
    report = lint(tmp_path, EXCEPTIONS)
    assert re.search(r"Contracts: \d+ kept, 0 broken", report), report

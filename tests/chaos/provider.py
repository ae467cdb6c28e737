"""The provider of the chaos scenes: the journeys' stub in a process of its own, which can die, with a bill that cannot.

What a model says is told by its upstream name: the stub's own parameters (`slow?words=40&pause_ms=30`), and
`fault=NAME` for one of the accidents below.
"""

import argparse
import json
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl

from tests.journeys.stub import (
    CUT,
    HANG,
    RESET,
    USAGE,
    Seen,
    Stub,
    answer,
    bytewise,
    chunk,
    completion,
    event,
    events,
    refusal,
    stream,
)

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0

SAID = events(["one two three four"])[:2]
REPORT = event(chunk(None, usage=USAGE))
NEGATIVE = {"prompt_tokens": -11, "completion_tokens": -5, "total_tokens": -16}
CONTRADICTORY = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 9_000, "completion_tokens_details": {}}
ENDLESS = {"prompt_tokens": 11, "completion_tokens": 10**15, "total_tokens": 10**15 + 11}
DRIP_S = 1.0  # between two bytes

# The same accident for a stream and for a whole answer, where both can have it.
STREAMED = {
    "reset": [RESET],
    "hang": [HANG],
    "cut": [CUT],
    "garbage": [b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 7\r\n\r\n<html/>"],
    "cut_in_the_middle": stream([*SAID, CUT]),
    "reset_in_the_middle": stream([*SAID, RESET]),
    "cut_after_usage": stream([*SAID, REPORT, CUT]),
    "half_a_frame": stream([*SAID, b'data: {"choi', CUT]),
    "garbage_in_the_middle": stream([*SAID, b"data: ][\n\n"]),
    "hang_in_the_middle": stream([*SAID, HANG]),
    "byte_by_byte": stream(bytewise(SAID[1]), pause_s=DRIP_S),
    "negative_usage": stream(events(usage=NEGATIVE)),
    "contradictory_usage": stream(events(usage=CONTRADICTORY)),
    "endless_usage": stream(events(usage=ENDLESS)),
    "no_usage": stream(events(usage=None)),
    "empty": stream([event(b"[DONE]")]),
    "says_429": refusal(429, Retry_After="1"),
    "says_500": refusal(500),
    "says_503": refusal(503),
}
WHOLE = {
    "garbage": [b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n<html/>"],
    "half_a_frame": [answer()[0][:-40], CUT],
    "cut_in_the_middle": [answer()[0][:-20], CUT],
    "reset_in_the_middle": [answer()[0][:-20], RESET],
    "hang_in_the_middle": [answer()[0][:-20], HANG],
    "negative_usage": answer(completion(usage=NEGATIVE)),
    "contradictory_usage": answer(completion(usage=CONTRADICTORY)),
    "endless_usage": answer(completion(usage=ENDLESS)),
    "no_usage": answer(completion(usage=...)),
}
FAULTS = tuple(STREAMED)


class Accidents(Stub):
    """The stub, with accidents by name."""

    def actions(self, seen: Seen):
        fault = dict(parse_qsl(seen.model.partition("?")[2])).get("fault")
        if fault is None:
            return super().actions(seen)
        return STREAMED[fault] if seen.body.get("stream") else WHOLE.get(fault, STREAMED[fault])


@dataclass
class Bill:
    """What the provider wrote down: its calls by request id, and how many it answered to the end."""

    calls: Counter[str] = field(default_factory=Counter)
    finished: int = 0


class Provider:
    """The provider's process and its bill, which outlives each of them."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "bill"
        self.file.touch()
        self.port = 0
        self.start()

    def start(self) -> None:
        """Start it, again on the port that it had."""
        command = [sys.executable, "-m", "tests.chaos.provider", "--bill", str(self.file), "--port", str(self.port)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.url = self.process.stdout.readline().decode().strip()
        assert self.url, "the provider does not listen"
        self.port = int(self.url.rpartition(":")[2].partition("/")[0])

    def kill(self) -> None:
        """End it without a warning (SIGKILL)."""
        self.process.kill()
        self.process.communicate(timeout=PATIENCE_S)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.communicate(timeout=PATIENCE_S)

    def size(self) -> int:
        """How long the bill is by now, in bytes: it grows with each call."""
        return self.file.stat().st_size

    def bill(self) -> Bill:
        """Read it. A line that a death cut short is a call all the same only where it was begun whole."""
        made = Bill()
        for line in self.file.read_bytes().splitlines(keepends=True):
            if not line.endswith(b"\n"):
                continue
            said = json.loads(line)
            if said["what"] == "begin":
                made.calls[said["request_id"]] += 1
            else:
                made.finished += said["finished"]
        return made


def main() -> None:
    parser = argparse.ArgumentParser(description="The provider of the chaos scenes.")
    parser.add_argument("--bill", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    stub = Accidents(bill_file=given.bill, port=given.port)
    print(stub.url, flush=True)
    sys.stdin.read()  # until whoever started it goes away
    stub.close()


if __name__ == "__main__":
    main()

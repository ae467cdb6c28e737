"""The fenced blocks of the documents, and what their info strings say.

```bash run               is run, in order, in one shell for each document; python likewise; ts and go after them,
                          those of all documents together: each a module, or a main.go, of its own
```text prints            right after such a block: what it prints; `…` stands for anything within a line,
                          a line of `…` alone for any lines, and runs of spaces count as one
```bash not-run: reason   is only read
"""

import re
from dataclasses import dataclass
from pathlib import Path

COMMANDS = frozenset({"bash", "sh", "console", "python", "ts", "js", "go"})
_FENCE = re.compile(r"^```(?P<info>[^\n`]*)\n(?P<text>.*?)^```[ ]*$", re.MULTILINE | re.DOTALL)


@dataclass
class Block:
    """One fenced block of a document."""

    document: str
    line: int
    language: str
    mark: str  # run, prints, not-run: …, or ""
    text: str
    prints: str | None = None  # of a block that is run

    @property
    def place(self) -> str:
        return f"{self.document}:{self.line}"


def blocks(path: Path, root: Path) -> list[Block]:
    """All blocks of a document in order; what a block prints is attached to it."""
    text = path.read_text(encoding="utf-8")
    found: list[Block] = []
    for match in _FENCE.finditer(text):
        language, _, mark = match["info"].strip().partition(" ")
        line = text.count("\n", 0, match.start()) + 1
        block = Block(str(path.relative_to(root)), line, language, mark, match["text"])
        if mark == "prints":
            assert found, f"{block.place}: nothing is run before it"
            assert found[-1].mark == "run", f"{block.place}: the block before it is not run"
            found[-1].prints = block.text
        found.append(block)
    return found


def pattern_of(shown: str) -> re.Pattern[str]:
    """What an output must hold to be what was shown."""
    lines = [re.sub(r"[ \t]+", " ", line.strip()) for line in shown.strip("\n").splitlines()]
    made = ""
    for line in lines:
        if line == "…":
            made += r"(?:[^\n]*\n)*?"
        else:
            made += "[^\n]*".join(re.escape(part) for part in line.split("…")) + r"\n"
    return re.compile("^" + made, re.MULTILINE)


def plain(output: str) -> str:
    """An output as patterns see it."""
    return "\n".join(re.sub(r"[ \t]+", " ", line.strip()) for line in output.splitlines()) + "\n"

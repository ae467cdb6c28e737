"""The reader of the documents finds what it should, and its patterns are as strict as they look."""

import pytest

from tests.docs.fences import blocks, pattern_of, plain

TEXT = """# T

```bash run
echo hi
```

```text prints
hi
```

Words.

```bash not-run: needs a vendor's key
joytoken providers add openai
```

```json
{}
```
"""


def test_blocks(tmp_path):
    (tmp_path / "a.md").write_text(TEXT)
    found = blocks(tmp_path / "a.md", tmp_path)
    assert [(block.language, block.mark, block.prints) for block in found] == [
        ("bash", "run", "hi\n"),
        ("text", "prints", None),
        ("bash", "not-run: needs a vendor's key", None),
        ("json", "", None),
    ]
    assert found[0].place == "a.md:3"
    assert found[0].text == "echo hi\n"


@pytest.mark.parametrize(
    ("shown", "output", "fits"),
    [
        ("a  b\n", "x\na\tb\n", True),
        ("a b\n", "a bc\n", False),
        ("a …\n", "a bc\n", True),
        ("a … d\n", "a b\nc d\n", False),
        ("a\n…\nd\n", "a\nb\nc\nd\n", True),
        ("a\n…\nd\n", "a\nd\n", True),
        ("a\n…\nd\n", "a\nb\n", False),
        ("1.5\n", "1x5\n", False),
    ],
)
def test_patterns(shown, output, fits):
    assert bool(pattern_of(shown).search(plain(output))) is fits


def test_what_is_printed_belongs_to_what_is_run(tmp_path):
    (tmp_path / "a.md").write_text("```text prints\nhi\n```\n")
    with pytest.raises(AssertionError, match="nothing is run before it"):
        blocks(tmp_path / "a.md", tmp_path)

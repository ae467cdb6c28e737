"""Where in a TOML text each key stands: `tomllib` reads values and forgets their lines."""

_BARE_END = " \t\r\n=.]#,}"


def key_lines(text: str) -> dict[tuple[str, ...], int]:
    """The line (from 1) of each key path of a valid TOML text: where it is set, or where its table begins.

    Pre-condition: `tomllib.loads(text)` succeeded; the scan leans on that and checks nothing itself.
    """
    return _Scan(text).run()


class _Scan:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.line = 1
        self.found: dict[tuple[str, ...], int] = {}

    def run(self) -> dict[tuple[str, ...], int]:
        table: tuple[str, ...] = ()
        while self._skip():
            if self._peek() == "[":
                double = self.text.startswith("[[", self.at)
                self._go(2 if double else 1)
                table = self._key(())
                self._skip()
                self._go(2 if double else 1)
            else:
                self._pair(table)
        return self.found

    def _pair(self, table: tuple[str, ...]) -> None:
        path = self._key(table)
        self._skip()
        self._go(1)  # the equals sign
        self._value(path)

    def _key(self, path: tuple[str, ...]) -> tuple[str, ...]:
        """Read a dotted key and note the line of each of its parts that was not seen before."""
        while True:
            self._skip()
            line = self.line
            path = (*path, self._key_part())
            self.found.setdefault(path, line)
            self._skip_blanks()
            if self._peek() != ".":
                return path
            self._go(1)

    def _key_part(self) -> str:
        if self._peek() in "\"'":
            start = self.at
            self._string()
            return _unquoted(self.text[start : self.at])
        start = self.at
        while self._peek() and self._peek() not in _BARE_END:
            self._go(1)
        return self.text[start : self.at]

    def _value(self, path: tuple[str, ...]) -> None:
        self._skip()
        first = self._peek()
        if first in "\"'":
            self._string()
        elif first == "{":
            self._go(1)
            while self._skip() and self._peek() != "}":
                self._pair(path)
                self._comma()
            self._go(1)
        elif first == "[":
            self._go(1)
            while self._skip() and self._peek() != "]":
                self._value(path)
                self._comma()
            self._go(1)
        else:
            while self._peek() and self._peek() not in "\r\n,]}#":
                self._go(1)

    def _comma(self) -> None:
        self._skip()
        if self._peek() == ",":
            self._go(1)

    def _string(self) -> None:
        quote = self._peek()
        fence = quote * 3 if self.text.startswith(quote * 3, self.at) else quote
        self._go(len(fence))
        while not self.text.startswith(fence, self.at):
            self._go(2 if quote == '"' and self._peek() == "\\" else 1)
        self._go(len(fence))
        # A multi-line string may end in up to two quotes of its own.
        while len(fence) > 1 and self._peek() == quote:
            self._go(1)

    def _skip(self) -> bool:
        """Skip blanks, line ends and comments; whether anything is left."""
        while self._peek():
            if self._peek() == "#":
                while self._peek() and self._peek() != "\n":
                    self._go(1)
            elif self._peek() in " \t\r\n":
                self._go(1)
            else:
                return True
        return False

    def _skip_blanks(self) -> None:
        while self._peek() and self._peek() in " \t":
            self._go(1)

    def _peek(self) -> str:
        return self.text[self.at : self.at + 1]

    def _go(self, count: int) -> None:
        self.line += self.text.count("\n", self.at, self.at + count)
        self.at += count


def _unquoted(text: str) -> str:
    if text[0] == "'":
        return text[1:-1]
    # Escapes are rare in keys; those that JSON shares with TOML are all that a setting's name can need.
    return text[1:-1].replace('\\"', '"').replace("\\\\", "\\")

"""Counting tokens: exactly where the model's tokenizer is known offline, else by a bound that bytes prove.

A byte-level tokenizer never makes more tokens than there are bytes, so the bytes of a text bound its tokens whatever
the model. Encodings are loaded on first use, in a thread (half a second and 80 MB each); until then the bound serves.
"""

import threading
from typing import Protocol

import quicktok

from joytoken.domain.catalog import Catalog, Tokenizer
from joytoken.gateway.call import Content

MESSAGE_TOKENS = 8  # role and separators of one message in any known chat template
REPLY_TOKENS = 16  # what primes the answer
IMAGE_TOKENS_MAX = 16_384  # no known provider counts more for one image
ESTIMATE_BYTES_PER_TOKEN = 4
COUNTS_REMEMBERED_MAX = 65_536


class Encoding(Protocol):
    """What is used of an encoding."""

    def count(self, text: str) -> int:
        """The number of tokens of a text."""
        ...


class Counter:
    """Counts texts by encoding, cheaply enough for the event loop (3 µs a kilobyte).

    Conversations send the same texts again with each turn, so counts are remembered: by a text's hash under this
    process's random key and its length, never by the text itself.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int, int], int] = {}
        self._ready: dict[str, Encoding] = {}
        self._loading: set[str] = set()

    def encoding(self, name: Tokenizer | None) -> Encoding | None:
        """The encoding if it is loaded; otherwise its loading begins, and None is given until it is done."""
        if name is None:
            return None
        found = self._ready.get(name)
        if found is None and name not in self._loading:
            self._loading.add(name)
            threading.Thread(target=self.load, args=(name,), name=f"load-{name}", daemon=True).start()
        return found

    def prepare(self, catalog: Catalog) -> None:
        """Load what the models of a catalog need, so that no request waits for it."""
        wanted = {model.tokenizer for model in catalog.models.values() if model.enabled and model.deployments}
        for name in wanted - self._ready.keys():
            if name is not None:
                self.load(name)

    def load(self, name: Tokenizer) -> None:
        """Load an encoding now."""
        self._ready[name] = quicktok.get_encoding(name)

    def input_bound(self, content: Content, body_bytes: int, tokenizer: Tokenizer | None, tools_bytes: int) -> int:
        """The most input tokens that a request can come to, from its texts and the size of everything else."""
        extra = content.messages * MESSAGE_TOKENS + REPLY_TOKENS + content.images * IMAGE_TOKENS_MAX
        encoding = self.encoding(tokenizer)
        if encoding is None or tokenizer is None or content.files or content.audios:
            return body_bytes + extra
        total = content.opaque_bytes + tools_bytes + extra
        counts = self._counts
        for text in content.texts:
            key = (tokenizer, hash(text), len(text))
            known = counts.get(key)
            if known is None:
                known = encoding.count(text)
                if len(counts) >= COUNTS_REMEMBERED_MAX:
                    counts.clear()
                counts[key] = known
            total += known
        return total

    def count(self, text: str, tokenizer: Tokenizer | None) -> int:
        """The tokens of a text: exactly where the encoding is loaded, else an estimate of four bytes a token."""
        encoding = self.encoding(tokenizer)
        if encoding is not None:
            return encoding.count(text)
        return self.estimate(len(text.encode("utf-8", "replace")))

    @staticmethod
    def estimate(size_bytes: int) -> int:
        """About how many tokens so many bytes of text are, where no encoding is loaded."""
        return -(-size_bytes // ESTIMATE_BYTES_PER_TOKEN)

    def count_input(self, content: Content, tokenizer: Tokenizer | None) -> int:
        """An estimate of a request's input tokens, for endings at which the provider reported none."""
        texts = sum([self.count(text, tokenizer) for text in content.texts])
        return texts + content.opaque_bytes // ESTIMATE_BYTES_PER_TOKEN + content.messages * 4 + 3

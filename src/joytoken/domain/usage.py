"""Token counts of one call, in inclusive buckets.

`input_tokens` includes cached, written and audio input; `output_tokens` includes reasoning and audio output. A
sub-bucket never exceeds its parent. A bucket that the provider did not report is None, never 0.
"""

import msgspec


class Usage(msgspec.Struct, frozen=True, gc=False):
    """Token counts of one call; see the module's text for what includes what."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int | None = None
    cache_write_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    reasoning_tokens: int | None = None

    @property
    def plain(self) -> bool:
        """Whether no token falls into a sub-bucket: the common case, and the quick one."""
        return not (
            self.cached_input_tokens
            or self.cache_write_tokens
            or self.audio_input_tokens
            or self.audio_output_tokens
            or self.reasoning_tokens
        )

    def bounded(self, input_max: int, output_max: int) -> "Usage":
        """This usage with every bucket made non-negative, held under its parent and under the two bounds.

        Returns self where nothing had to give, so that identity tells whether a provider reported nonsense.
        """
        if 0 <= self.input_tokens <= input_max and 0 <= self.output_tokens <= output_max and self.plain:
            return self
        total_in = min(max(self.input_tokens, 0), input_max)
        total_out = min(max(self.output_tokens, 0), output_max)
        cached = _within(self.cached_input_tokens, total_in)
        written = _within(self.cache_write_tokens, total_in - (cached or 0))
        audio_in = _within(self.audio_input_tokens, total_in - (cached or 0) - (written or 0))
        reasoning = _within(self.reasoning_tokens, total_out)
        audio_out = _within(self.audio_output_tokens, total_out - (reasoning or 0))
        made = Usage(total_in, total_out, cached, written, audio_in, audio_out, reasoning)
        return self if made == self else made


def _within(value: int | None, most: int) -> int | None:
    return None if value is None else min(max(value, 0), most)


NOTHING = Usage(0, 0)

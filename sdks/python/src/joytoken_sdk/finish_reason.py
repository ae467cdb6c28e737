"""Why an answer ended."""

from enum import StrEnum


class FinishReasonKind(StrEnum):
    """Why an answer ended, however the provider spells it."""

    UNKNOWN = "unknown"
    STOP = "stop"
    TOOL_CALLS = "tool_calls"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"
    MALFORMED_TOOL_CALL = "malformed_function_call"


_SPELLINGS = {
    FinishReasonKind.STOP: "stop end_turn endturn complete completed",
    FinishReasonKind.TOOL_CALLS: "tool_calls toolcalls tool_use tooluse function_call functioncall",
    FinishReasonKind.LENGTH: "length max_tokens maxtokens model_length",
    FinishReasonKind.CONTENT_FILTER: "content_filter contentfilter safety blocklist prohibited_content recitation",
    FinishReasonKind.MALFORMED_TOOL_CALL: "malformed_function_call malformedfunctioncall malformed_tool_call",
}
_KINDS = {spelling: kind for kind, spellings in _SPELLINGS.items() for spelling in spellings.split()}


def classify_finish_reason(raw: str | None) -> FinishReasonKind:
    """Read a provider's finish reason, in whatever case and with whatever between its words."""
    spelling = (raw or "").strip().lower().replace("-", "_").replace(" ", "_")
    return _KINDS.get(spelling, FinishReasonKind.UNKNOWN)

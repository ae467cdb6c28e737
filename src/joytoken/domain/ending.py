"""Every ending has a name and a rule."""

from typing import Literal

Ending = Literal[
    "completed",
    "completed_counted",
    "client_gone",
    "provider_failed",
    "provider_cut",
    "empty",
    "timed_out",
    "refused",
    "recovered",
    "rejected_upstream",
]
UsageSource = Literal["reported", "estimated", "recovered", "none"]

# What each ending charges, in words that a payer can read; `docs/usage-and-billing.md` shows the same table.
RULES: dict[Ending, str] = {
    "completed": "the usage that the provider reported, bounded by what the gateway saw",
    "completed_counted": "tokens counted by the gateway: the provider finished without reporting usage",
    "client_gone": "usage already reported, else counted input and the output received before the caller hung up",
    "provider_failed": "nothing: every attempt failed before the first content",
    "provider_cut": "counted tokens: the provider broke off after content had begun",
    "empty": "nothing: the provider sent no content, or ended with an error",
    "timed_out": "counted tokens: the gateway's own deadline passed after content had begun",
    "refused": "nothing: no hold was made and no provider was called",
    "recovered": "what the journal proves: a process died while the request was under way",
    "rejected_upstream": "nothing: the provider refused the request itself, and its refusal was passed on",
}

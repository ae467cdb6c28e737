"""The place of a run among its parents."""

import msgspec

from joytoken.domain.ledger import Want


class Placed(msgspec.Struct, frozen=True):
    """A run and its parents, nearest first, with what their callers allowed them."""

    lineage: tuple[str, ...]
    own: tuple[Want, ...] = ()  # the accounts of budgets that callers asked for, of the run and of its parents
    budget: int | None = None  # nanocredits that the run's own caller allowed it
    whole: bool = True  # every parent is known: this holds for good
    workflow: str = ""  # what it is a run of

    @property
    def run_id(self) -> str:
        """The run itself."""
        return self.lineage[0]

    @property
    def parent(self) -> str:
        """The run's parent, or the empty string."""
        return self.lineage[1] if len(self.lineage) > 1 else ""

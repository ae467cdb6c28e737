"""The run that a request belongs to, as headers."""


def run_headers(
    run_id: str,
    *,
    parent_id: str | None = None,
    workflow: str | None = None,
    budget: str | None = None,
    step: int | str | None = None,
) -> dict[str, str]:
    """Return the headers that name a run, for `extra_headers` of a call of the `openai` package.

    `budget` is credits as a decimal text, and belongs to the first request of the run; so does `workflow`. Texts are 1
    to 128 visible ASCII characters without spaces; another one is refused by the client before anything is sent.
    """
    named = {
        "X-JoyToken-Run-Id": run_id,
        "X-JoyToken-Parent-Run-Id": parent_id,
        "X-JoyToken-Workflow": workflow,
        "X-JoyToken-Run-Budget": budget,
        "X-JoyToken-Step": None if step is None else str(step),
    }
    return {name: value for name, value in named.items() if value is not None}

"""What a key has, what it did, and what that cost. Credits are decimal texts, times RFC 3339 in UTC."""

from typing import Any

from joytoken_sdk.record import Record


class KeyPolicy(Record):
    """What a key may ask for. Empty lists and None: nothing is said of it."""

    blocked: bool = False
    tier: str | None = None
    allowed_tiers: list[str] = []
    fixed_model: str | None = None
    allow_models: list[str] = []
    deny_models: list[str] = []
    ip_allow: list[str] = []
    ip_block: list[str] = []
    limit_daily: str | None = None
    limit_weekly: str | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None
    output_tokens_max: int | None = None
    clamp_output: bool = False
    run_budget: bool = False
    """Whether the key may set the budget of a run."""


class KeyLimit(Record):
    """What may be spent in the window that is open; `name` is the budget's, empty for a limit of the key's own."""

    name: str = ""
    window: str = ""
    """`day`, `week`, `month` or `total`."""
    limit: str = ""
    spent: str = ""
    frozen: str = ""
    """Held for requests under way."""
    left: str = ""
    ends_at: str | None = None


class KeyWallet(Record):
    """The credits of one tier."""

    tier: str = ""
    balance: str = ""
    frozen: str = ""
    """Held for requests under way."""
    available: str = ""
    usd: str = ""
    """US dollars that `available` is worth."""


class KeyInfo(Record):
    """What the calling key may do, has spent, and can spend."""

    id: str = ""
    name: str = ""
    status: str = ""
    owner: str = ""
    expires_at: str | None = None
    project: str = ""
    application: str = ""
    environment: str = ""
    task: str = ""
    policy: KeyPolicy = KeyPolicy()
    limits: list[KeyLimit] = []
    """The key's own limits of a day and a week."""
    budgets: list[KeyLimit] = []
    """The budgets that cover each of its requests."""
    wallets: list[KeyWallet] = []


class ReceiptRequest(Record):
    """The usage record of a receipt; tokens that the provider did not report are None."""

    request_id: str = ""
    billing_id: str = ""
    correlation_id: str | None = None
    started_at: str = ""
    finished_at: str | None = None
    ending: str = ""
    usage_source: str = ""
    model_requested: str | None = None
    model: str | None = None
    provider: str | None = None
    tier: str | None = None
    owner: str = ""
    key_id: str = ""
    run: str | None = None
    parent_run: str | None = None
    workflow: str | None = None
    step: str | None = None
    tags: dict[str, Any] = {}
    input_tokens: int | None = None
    output_tokens: int | None = None
    charged: str = ""
    total_ms: float | None = None


class ReceiptEnding(Record):
    """How a request ended, and what that ending charges."""

    name: str = ""
    rule: str = ""
    usage_source: str = ""


class ReceiptMoney(Record):
    """What was held, settled and released."""

    hold: str = ""
    settled: str = ""
    released: str = ""


class ReceiptRoute(Record):
    """How the model was found; each candidate has the reason for or against it."""

    rule: str = ""
    candidates: list[dict[str, Any]] = []


class ReceiptAttempt(Record):
    """One call of a provider; times are milliseconds since the request began."""

    provider: str = ""
    model: str = ""
    status: int | None = None
    error: str | None = None
    started_ms: float | None = None
    ended_ms: float | None = None


class Receipt(Record):
    """All of one request: who asked for what, how it was routed, what it cost and by which rule."""

    request: ReceiptRequest = ReceiptRequest()
    ending: ReceiptEnding = ReceiptEnding()
    money: ReceiptMoney = ReceiptMoney()
    price: dict[str, Any] | None = None
    """The row of the price book that was used; None where nothing was priced."""
    route: ReceiptRoute = ReceiptRoute()
    attempts: list[ReceiptAttempt] = []
    timings: dict[str, float] = {}
    """Milliseconds since the request began, by step."""
    notes: list[str] = []


class RunNode(Record):
    """One run of a tree. `charged` is its own credits, `total` those of the runs below it, too."""

    id: str = ""
    parent: str | None = None
    """The run that began it; empty where none did."""
    depth: int = 0
    workflow: str = ""
    requests: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    charged: str = ""
    total: str = ""
    budget: str | None = None
    left: str | None = None
    started_at: str | None = None
    finished_at: str | None = None


class RunRequest(Record):
    """One request of a run."""

    request_id: str = ""
    run: str = ""
    step: str = ""
    model: str | None = None
    tier: str | None = None
    ending: str = ""
    credits_used: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    started_at: str = ""
    total_ms: float | None = None


class RunTree(Record):
    """A run with the runs below it and their requests, oldest first."""

    id: str = ""
    owner: str = ""
    workflow: str = ""
    runs: list[RunNode] = []
    requests: list[RunRequest] = []
    more: bool = False
    """Whether there are more than are listed."""

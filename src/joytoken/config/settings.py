"""Every setting: its type, default, bounds and help, in one place.

The reference in `docs/configuration.md`, the environment names and the checks of `joytoken.toml` are all derived from
these structs. A setting's unit is the last word of its name (`_ms`, `_bytes_max`, `_credits`), as everywhere.
"""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from joytoken.domain.money import parse_amount
from joytoken.domain.tier import DEFAULT_TIER, Tier

KIB = 1024
MIB = 1024 * KIB

# An amount of credits or dollars, exact: a decimal string with at most nine decimals.
DECIMAL = r"^\d{1,10}(\.\d{1,9})?$"


def _count(text: str, least: int = 0, most: int = 2**53) -> Meta:
    return Meta(ge=least, le=most, description=text)


def _ms(text: str, least: int = 1) -> Meta:
    return Meta(ge=least, le=86_400_000, description=text)


def _amount(text: str) -> Meta:
    return Meta(pattern=DECIMAL, description=text)


def _share(text: str) -> Meta:
    return Meta(ge=0.0, le=1.0, description=text)


def _help(text: str) -> Meta:
    return Meta(description=text)


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """The listening side: where it listens, and what a client may send."""

    host: Annotated[str, _help("Address to listen on; `0.0.0.0` for every interface.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port to listen on; 0 lets the system choose one.")] = 7410
    workers: Annotated[int, _count("Worker processes.", 1, 256)] = 1
    worker_pause_ms_max: Annotated[int, _ms("Longest pause before a worker that keeps failing is started again.")] = (
        30_000
    )
    limited_keys_max: Annotated[
        int, _count("Keys whose rate limits many workers count together; those of further keys hold per worker.", 1)
    ] = 100_000
    data_dir: Annotated[str, _help("Folder of the database, the journal and the secret; made on first run.")] = (
        "~/.local/share/joytoken"
    )
    body_bytes_max: Annotated[int, _count("Largest request body.", 1)] = 8 * MIB
    header_bytes_max: Annotated[int, _count("All headers of a request together.", 256)] = 32 * KIB
    header_count_max: Annotated[int, _count("Headers of a request.", 1)] = 100
    target_bytes_max: Annotated[int, _count("Path and query of a request.", 16)] = 8 * KIB
    json_depth_max: Annotated[int, _count("Nesting of a JSON body.", 1, 1000)] = 64
    messages_max: Annotated[int, _count("Messages in one request.", 1)] = 10_000
    head_ms: Annotated[int, _ms("Within this time the whole head of a request must have arrived.")] = 10_000
    body_ms: Annotated[int, _ms("Within this time the whole body of a request must have arrived.")] = 60_000
    keepalive_ms: Annotated[int, _ms("An idle connection is closed after this time.")] = 75_000
    write_stall_ms: Annotated[int, _ms("A reader that takes nothing for this time is cut off.")] = 60_000
    write_buffer_bytes_max: Annotated[int, _count("Unsent bytes of one answer before its provider is paused.", 1)] = (
        256 * KIB
    )
    connections_max: Annotated[int, _count("Open connections of one worker.", 1)] = 10_000
    drain_ms: Annotated[int, _ms("On a stop, running requests get this time to end.", 0)] = 25_000
    leave_ms: Annotated[
        int, _ms("On a rolling restart, running requests of a replaced worker get this time before it stops.", 0)
    ] = 600_000
    metrics_public: Annotated[bool, _help("Whether `GET /metrics` is answered without an admin key.")] = False
    trusted_proxies: Annotated[
        tuple[str, ...], _help("Networks (CIDR) whose `X-Forwarded-For` and `X-Real-IP` are believed.")
    ] = ("127.0.0.0/8", "::1/128")


class Gateway(msgspec.Struct, frozen=True, kw_only=True):
    """The life of a request."""

    default_model: Annotated[str, _help("Model of a request that names none; empty means `auto`.")] = ""
    default_tier: Annotated[Tier, _help("Tier of a request when neither it nor its key names one.")] = DEFAULT_TIER
    default_output_tokens: Annotated[int, _count("Output bound of a request that sets no `max_tokens`.", 1)] = 1024
    output_tokens_max: Annotated[int, _count("Greatest output bound of any request.", 1)] = 131_072
    default_hold_credits: Annotated[str, _amount("Amount frozen for a model whose price is zero.")] = "1"
    hold_least_credits: Annotated[str, _amount("Least amount frozen for any request.")] = "0.000001"
    on_missing_price: Annotated[
        Literal["reject", "zero", "tier_default"], _help("What a model without a known price does.")
    ] = "reject"
    charge_cut_streams: Annotated[bool, _help("Charge the tokens received before a provider broke off.")] = True
    idempotency_answer_bytes_max: Annotated[int, _count("Largest answer kept for an `Idempotency-Key`.")] = 4 * MIB
    idempotency_hours: Annotated[int, _count("How long an answer is kept for its `Idempotency-Key`.", 1, 8760)] = 24
    correlation_id_chars_max: Annotated[int, _count("Longest `X-Request-ID` that is kept.", 1, 1024)] = 128
    run_id_chars_max: Annotated[int, _count("Longest id of a run, and name of its workflow or step.", 1, 1024)] = 128
    run_depth_max: Annotated[int, _count("How deep runs may be nested: a run and its parents together.", 1, 64)] = 8
    runs_daily_max: Annotated[int, _count("New runs that the callers of one owner may begin in a day (UTC).")] = 100_000
    progress_ms: Annotated[int, _ms("A stream's cost so far is journalled at least this often.")] = 250
    progress_tokens: Annotated[int, _count("A stream's cost so far is journalled after so many tokens.", 1)] = 256
    drains_max: Annotated[int, _count("Streams of one provider that a worker reads on after callers hung up.")] = 64
    drain_ms: Annotated[int, _ms("Such a stream is read for at most this time.", 0)] = 30_000
    keyring_poll_ms: Annotated[int, _ms("How often a worker looks for changed keys and models.", 10)] = 250
    record_refusals: Annotated[bool, _help("Write a usage record for refused requests too.")] = False


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """The client that calls providers."""

    connect_ms: Annotated[int, _ms("Deadline of connecting, TLS included.")] = 5_000
    first_byte_ms: Annotated[int, _ms("Deadline of the answer's first byte.")] = 60_000
    idle_ms: Annotated[int, _ms("Longest silence within an answer.")] = 60_000
    total_ms: Annotated[int, _ms("Deadline of a whole call.")] = 600_000
    connections_max: Annotated[int, _count("Connections to one provider from one worker.", 1)] = 512
    keepalive_ms: Annotated[int, _ms("An idle connection is closed after this time.", 0)] = 30_000
    header_bytes_max: Annotated[int, _count("All headers of an answer together.", 256)] = 64 * KIB
    body_bytes_max: Annotated[int, _count("Largest answer, streamed or not.", 1)] = 64 * MIB
    buffer_bytes_max: Annotated[int, _count("Unread bytes of one answer before its provider is paused.", 1)] = MIB
    event_bytes_max: Annotated[int, _count("Largest event of a stream.", 1)] = 16 * MIB
    networks_denied: Annotated[
        tuple[str, ...],
        _help("Networks (CIDR) where no provider is called: link-local ones, and those that tell a cloud's secrets."),
    ] = ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16")
    attempts_max: Annotated[int, _count("Calls made for one request, fallbacks included.", 1, 32)] = 4


class UsdPerCredit(msgspec.Struct, frozen=True, kw_only=True):
    """What one credit of a tier is worth in US dollars, as long as nothing else was set by management."""

    economy: Annotated[str, _amount("US dollars for one economy credit.")] = "0.001"
    standard: Annotated[str, _amount("US dollars for one standard credit.")] = "0.002"
    premium: Annotated[str, _amount("US dollars for one premium credit.")] = "0.005"


class Money(msgspec.Struct, frozen=True, kw_only=True):
    """Wallets, holds, the journal and the flusher."""

    zone: Annotated[str, _help("Reporting time zone: where a day and a week of a limit begin.")] = "UTC"
    usd_per_credit: UsdPerCredit = UsdPerCredit()
    starter_credits: Annotated[str, _amount("Credits put into each wallet on first run.")] = "1000"
    markup_bps: Annotated[int, _count("Added to seeded prices, in hundredths of a percent.", 0, 1_000_000)] = 0
    flush_ms: Annotated[int, _ms("Settlements are written to the database at least this often.")] = 100
    flush_records_max: Annotated[int, _count("Settlements of one flush.", 1, 100_000)] = 1000
    hold_wait_ms: Annotated[int, _ms("How long a hold waits for others' releases before it is refused.", 0)] = 150
    lease_seconds: Annotated[int, _count("A lease is sized for so many seconds of spending.", 1, 3600)] = 2
    recall_ms: Annotated[int, _ms("A worker with unused leases hears at least this often who else needs them.")] = 50
    lease_idle_ms: Annotated[int, _ms("An unused lease is returned after this time.")] = 500
    durability: Annotated[
        Literal["process", "power", "central"],
        _help(
            "What a settlement survives once its answer is complete: the end of the process; a power cut; the loss of "
            "the machine."
        ),
    ] = "process"
    durability_wait_ms: Annotated[
        int, _ms("An answer waits for that at most so long; then it is completed, and a warning logged.")
    ] = 30_000
    lease_deadline_ms: Annotated[
        int, _ms("A worker that the database did not hear for this time admits nothing more.", 1_000)
    ] = 30_000
    abandon_ms: Annotated[
        int, _ms("A lost node's leases stay reserved for this time, then go back to their accounts.")
    ] = 600_000
    watch_ms: Annotated[int, _ms("How often a worker looks for others that died or are lost.", 10)] = 1_000
    journal_bytes: Annotated[int, _count("Size of one journal segment.", 64 * KIB)] = 16 * MIB
    budget_values_daily_max: Annotated[
        int, _count("Accounts that a budget for each value may open in a day (UTC) for the callers of one owner.")
    ] = 100_000
    sweep_ms: Annotated[int, _ms("How often a worker looks for grants that begin or end.", 10)] = 1_000


class Webhooks(msgspec.Struct, frozen=True, kw_only=True):
    """Events that are sent to others, such as a low balance."""

    poll_ms: Annotated[int, _ms("How often a worker looks for events to deliver.", 10)] = 1_000
    timeout_ms: Annotated[int, _ms("Deadline of one delivery, from the connection to the whole answer.")] = 10_000
    retry_ms: Annotated[int, _ms("Pause after the first failure; doubled after each further one.")] = 5_000
    retry_ms_max: Annotated[int, _ms("Longest pause between two attempts.")] = 3_600_000
    retry_hours: Annotated[int, _count("How long a delivery is tried before it is given up.", 1, 8760)] = 72
    concurrent_max: Annotated[int, _count("Deliveries of one worker at once.", 1, 1000)] = 16
    keep_days: Annotated[
        int, _count("How long an event is kept after its last delivery was made or given up.", 1, 36_500)
    ] = 30
    prune_ms: Annotated[int, _ms("How often a worker looks for events that were kept for so long.", 10)] = 60_000
    prune_events_max: Annotated[int, _count("Events that one transaction removes.", 1, 10_000)] = 500
    private_networks: Annotated[
        tuple[str, ...], _help("Networks (CIDR) beside the public internet to which events may be sent.")
    ] = ()


class Routing(msgspec.Struct, frozen=True, kw_only=True):
    """How a deployment is chosen."""

    weight_price: Annotated[float, _share("Weight of a low price in the score.")] = 0.4
    weight_capability: Annotated[float, _share("Weight of a high MCI score in the score.")] = 0.4
    weight_latency: Annotated[float, _share("Weight of a short time to the first byte in the score.")] = 0.2
    capability_unknown: Annotated[
        float, Meta(ge=0.0, le=100.0, description="Stands in for the MCI score of a model that has none.")
    ] = 50.0
    latency_half_ms: Annotated[
        float, Meta(gt=0.0, le=86_400_000.0, description="A first byte after this long scores one half.")
    ] = 1000.0
    output_tokens_min: Annotated[int, _count("Room for an answer that must be left in a model's context.")] = 256
    choices_max: Annotated[int, _count("Deployments in a plan: the first and its fallbacks.", 1, 32)] = 4
    candidates_explained_max: Annotated[int, _count("Candidates listed one by one on a receipt.", 1, 1000)] = 20
    breaker_failures: Annotated[int, _count("Failures in a row that take a deployment out.", 1)] = 5
    breaker_percent: Annotated[int, _count("Percent of failures within the window that do so too.", 1, 100)] = 50
    breaker_calls_min: Annotated[int, _count("Calls that the window must hold for that.", 1)] = 20
    breaker_window_ms: Annotated[int, _ms("Length of the window.", 100)] = 30_000
    breaker_open_ms: Annotated[int, _ms("How long it stays out the first time; doubled each time after.")] = 15_000
    breaker_open_ms_max: Annotated[int, _ms("How long it stays out at most.")] = 240_000
    economy_usd_max: Annotated[
        str, _amount("A model whose million tokens (three parts input, one output) cost at most this is economy.")
    ] = "1"
    standard_usd_max: Annotated[
        str, _amount("A model whose million tokens (three parts input, one output) cost at most this is standard.")
    ] = "7.5"


class Database(msgspec.Struct, frozen=True, kw_only=True):
    """Where everything is kept."""

    url: Annotated[str, _help("Database URL; empty means SQLite in the data folder.")] = ""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Usage records and their sums."""

    keep_months: Annotated[int, _count("Months of requests that are kept beside the one that runs; 0 keeps all.")] = 0
    roll_ms: Annotated[int, _ms("How often what has come since is added to the sums that reports read.", 10)] = 60_000
    roll_records_max: Annotated[int, _count("Records added to them in one transaction.", 1, 100_000)] = 2000
    roll_parts_max: Annotated[int, _count("Such transactions, one after the other, before it rests.", 1)] = 1000
    tag_names_max: Annotated[
        int,
        _count("Callers' tags that are summed for a day; those that come later are read from the records.", 0, 10_000),
    ] = 100
    tag_values_max: Annotated[
        int, _count("Values of one tag that are summed for a day; with more, it is read from the records.", 1, 100_000)
    ] = 1000


class Log(msgspec.Struct, frozen=True, kw_only=True):
    """What is written to standard error while serving. No secret and no prompt, at any level."""

    level: Annotated[Literal["debug", "info", "warning", "error"], _help("Least severe message that is written.")] = (
        "info"
    )
    format: Annotated[Literal["text", "json"], _help("Lines for people, or one JSON object a line.")] = "text"


class ModelOverride(msgspec.Struct, frozen=True, kw_only=True):
    """Overrides of one model, in a table named after it: `[models."openai/gpt-4o-mini"]`."""

    tier: Annotated[Tier | None, _help("Tier, instead of the one of its price band.")] = None
    mci_score: Annotated[Annotated[float, Meta(ge=0, le=100)] | None, _help("MCI score on the 100-point scale.")] = None
    enabled: Annotated[bool | None, _help("Whether it can be called.")] = None
    input_mtok: Annotated[
        Annotated[str, Meta(pattern=DECIMAL)] | None, _help("Credits for a million input tokens.")
    ] = None
    output_mtok: Annotated[
        Annotated[str, Meta(pattern=DECIMAL)] | None, _help("Credits for a million output tokens.")
    ] = None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings of one process. Amounts are decimal strings here; `parse_amount` makes them nano-units."""

    server: Server = Server()
    gateway: Gateway = Gateway()
    upstream: Upstream = Upstream()
    money: Money = Money()
    webhooks: Webhooks = Webhooks()
    routing: Routing = Routing()
    database: Database = Database()
    usage: Usage = Usage()
    log: Log = Log()
    models: dict[str, ModelOverride] = {}

    @property
    def data_dir(self) -> Path:
        """The data folder as an absolute path."""
        return Path(self.server.data_dir).expanduser().absolute()

    @property
    def database_url(self) -> str:
        """The database's URL, also where none was set."""
        return self.database.url or f"sqlite:///{self.data_dir / 'joytoken.db'}"

    @property
    def usd_per_credit(self) -> dict[Tier, int]:
        """The configured price of a credit by tier, in nano-dollars."""
        rates = self.money.usd_per_credit
        return {
            "economy": parse_amount(rates.economy),
            "standard": parse_amount(rates.standard),
            "premium": parse_amount(rates.premium),
        }

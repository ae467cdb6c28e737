"""The composition root: settings → store, providers, planes, doors. The only place that knows every room."""

import asyncio
import logging
from collections.abc import Callable
from time import monotonic

from starlette.applications import Starlette
from starlette.routing import Route

from joytoken import __version__
from joytoken.admin.chores import Chores
from joytoken.admin.desk import Desk
from joytoken.admin.folder import instance
from joytoken.admin.own_key import OwnKey, own_key
from joytoken.admin.runs import RunRef, RunTree, show_run
from joytoken.admin.upkeep import Upkeep
from joytoken.admin.vault import VaultError
from joytoken.api.asgi import build_app
from joytoken.api.door import Door
from joytoken.api.head import HeadLimits
from joytoken.api.manage import admins_only, manage_routes
from joytoken.api.metrics import metrics_route
from joytoken.config.settings import Settings
from joytoken.domain.apikey import ApiKey
from joytoken.domain.budget import Budget
from joytoken.domain.catalog import Catalog
from joytoken.domain.catalog import Provider as ProviderConfig
from joytoken.domain.errors import NotFound, Unavailable
from joytoken.domain.money import parse_amount
from joytoken.domain.price import Price
from joytoken.domain.record import UsageRecord
from joytoken.escrow.engine import Escrow
from joytoken.escrow.terms import Closed, EscrowSettings, RecoveryReport
from joytoken.gateway.admit import Admission
from joytoken.gateway.count import Counter
from joytoken.gateway.exchange import Exchange
from joytoken.gateway.freeze import Freezer, HoldRules
from joytoken.gateway.idempotency import Idempotency
from joytoken.gateway.invoke import Invoker
from joytoken.gateway.keyring import Keyring, Principal
from joytoken.gateway.limiter_shared import SharedLimits
from joytoken.gateway.relay import Relay
from joytoken.gateway.runs import Runs
from joytoken.gateway.settle import Settler
from joytoken.gateway.snapshot import Adapters, Snapshot
from joytoken.gateway.windows import Windows
from joytoken.providers.addresses import networks_of
from joytoken.providers.interface import Provider
from joytoken.providers.registry import build_provider
from joytoken.providers.transport import Deadlines, Limits, Pool
from joytoken.routing.health import Health
from joytoken.routing.options import options_from
from joytoken.routing.plan import Router
from joytoken.store.idempotency import Holder
from joytoken.store.open import Store

_SECOND_MS = 1000
_OWN_FLUSH_S = 2.0  # for so long a receipt waits for the database to take what has just ended here
_OTHERS_FLUSH_S = 0.5  # what another worker's transaction may take, beyond the time between two of them
_HEARTBEAT_MS_MAX = 5_000
_FLUSH_AGE_S_MAX = 15  # three heartbeats of the flusher
_log = logging.getLogger(__name__)


class _Configuration:
    """The store, as the data plane's snapshot reads it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def generation(self) -> int:
        return self._store.generation()

    def keys_since(self, generation: int) -> tuple[int, list[ApiKey]]:
        return self._store.keys.changed_since(generation)

    def budgets(self) -> list[Budget]:
        return self._store.budgets.list()

    def catalog(self) -> Catalog:
        return self._store.catalog.snapshot()


class Worker:
    """One worker process: its planes over one store, and its clean end."""

    def __init__(self, desk: Desk, *, slot: int = 0, limits: SharedLimits | None = None) -> None:
        """`limits`: where keys' rates are counted together with other workers; alone, each counts for itself."""
        self._desk = desk
        self.store = desk.store
        settings = desk.settings
        gateway, upstream = settings.gateway, settings.upstream
        self._pool = Pool(_limits(settings), networks_of(upstream.networks_denied))
        self._deadlines = _deadlines(settings)
        self.escrow = _escrow(desk, slot)
        windows = Windows(settings.money.zone)
        self.keyring = Keyring(desk.vault.pepper, windows, *((limits.limiter,) if limits else ()))
        adapters = Adapters(self._build)
        self.counter = Counter()
        self.snapshot = Snapshot(
            _Configuration(self.store),
            self.keyring,
            adapters,
            poll_ms=gateway.keyring_poll_ms,
            prepare=self.counter.prepare,
        )
        options = options_from(settings)
        health = Health(options, monotonic)
        router = Router(self.snapshot.current, health, options)
        settler = self.settler = Settler(
            escrow=self.escrow, counter=self.counter, charge_cut_streams=gateway.charge_cut_streams
        )
        self.admission = Admission(
            router=router,
            escrow=self.escrow,
            windows=windows,
            runs=_runs(desk),
            trusted_proxies=settings.server.trusted_proxies,
            default_output_tokens=gateway.default_output_tokens,
        )
        self.exchange = Exchange(
            keyring=self.keyring,
            admission=self.admission,
            freezer=Freezer(
                router=router,
                escrow=self.escrow,
                counter=self.counter,
                windows=windows,
                catalog=self.snapshot.current,
                rules=_hold_rules(settings),
            ),
            invoker=Invoker(
                providers=adapters,
                health=health,
                escrow=self.escrow,
                counter=self.counter,
                attempts_max=upstream.attempts_max,
                event_bytes_max=upstream.event_bytes_max,
            ),
            relay=Relay(
                settler=settler,
                escrow=self.escrow,
                progress_ms=gateway.progress_ms,
                progress_tokens=gateway.progress_tokens,
            ),
            settler=settler,
            idempotency=_idempotency(desk, lambda: (self.escrow.worker, self.escrow.epoch)),
            record_refusals=gateway.record_refusals,
            json_depth_max=settings.server.json_depth_max,
            messages_max=settings.server.messages_max,
        )
        self.door = _door(self.exchange, settings)
        self._others_flush_s = settings.money.flush_ms / _SECOND_MS + _OTHERS_FLUSH_S if _with_others(desk) else 0.0
        self._chores = Chores(desk.acting("joytoken"))
        self._upkeep = Upkeep(desk, settings.usage)

    def _build(self, config: ProviderConfig) -> Provider:
        return build_provider(config, self._credential(config), self._pool, self._deadlines)

    def _credential(self, config: ProviderConfig) -> str | None:
        desk = self._desk
        if config.sealed_key is not None:
            try:
                return desk.vault.open(config.sealed_key, config.name)
            except VaultError as error:
                raise ValueError(str(error)) from error
        return desk.environ.get(config.api_key_env) if config.api_key_env else None

    async def start(self) -> RecoveryReport:
        """Recover what an earlier process left, register with the store, and read the configuration."""
        report = await self.escrow.start()
        _tell(self.escrow.worker, report)
        await self.snapshot.start()
        self._chores.start()
        self._upkeep.start()
        return report

    async def stop(self) -> None:
        """Give every lease back and close everything. Requests have ended by now."""
        await self._chores.stop()
        await self._upkeep.stop()
        await self.snapshot.stop()
        await self.escrow.stop()
        await self._pool.aclose()

    def application(self) -> Starlette:
        """Everything that is served but the hot route."""
        return build_app(
            keyring=self.keyring,
            snapshot=self.snapshot,
            permit=self.admission.permit,
            lookup=self.find_record,
            price_of=self.find_price,
            key_of=self.show_key,
            run_of=self.find_run,
            refunded_of=self.find_refunded,
            dropped_of=self.find_dropped,
            ready_checks={"store": self.check_store, "escrow": self.check_escrow, "catalog": self.check_catalog},
            version=__version__,
            extra_routes=[*manage_routes(self._desk), self._metrics()],
            limits=self.door.limits,
            correlation_id_chars_max=self._desk.settings.gateway.correlation_id_chars_max,
        )

    def _metrics(self) -> Route:
        permit = None if self._desk.settings.server.metrics_public else admins_only(self._desk)
        return metrics_route(self.settler.sizing, self.escrow.stats, permit)

    async def find_record(self, request_id: str) -> UsageRecord | None:
        """The usage record of a request; one that has just ended is flushed first.

        Another worker, or another gateway on the same database, brings over what it served with its next flush. Raises
        Unavailable where the database does not take what there is.
        """
        found = await asyncio.to_thread(self.store.usage.get, request_id)
        if found is None:
            await self._flushed()
            found = await asyncio.to_thread(self.store.usage.get, request_id)
        patience = monotonic() + self._others_flush_s
        while found is None and monotonic() < patience:
            await asyncio.sleep(self._desk.settings.money.flush_ms / _SECOND_MS)
            found = await asyncio.to_thread(self.store.usage.get, request_id)
        return found

    async def _flushed(self) -> None:
        """Bring over what has ended here. Raises Unavailable where the store does not take it in time."""
        try:
            async with asyncio.timeout(_OWN_FLUSH_S):
                await self.escrow.flush_now()
        except (TimeoutError, Closed) as error:
            message = "the database is away, and does not know of this request yet"
            raise Unavailable(message, "store_away", retry_after_s=1) from error

    async def find_run(self, owner: str, run_id: str) -> RunTree | None:
        """A run of an owner with what runs below it, and what has just ended here. Raises Unavailable."""
        await self._flushed()
        try:
            return await asyncio.to_thread(show_run, self._desk, RunRef(id=run_id, owner=owner, steps=True))
        except NotFound:
            return None

    async def show_key(self, principal: Principal) -> OwnKey:
        """What the holder of a key is told of it."""
        budgets = () if principal.budgets is None else principal.budgets.shared
        return await asyncio.to_thread(own_key, self._desk, principal.key, budgets)

    async def find_dropped(self, request_id: str) -> str | None:
        """The month of a request, where its records were dropped."""
        return await asyncio.to_thread(self.store.usage.dropped_month, request_id)

    async def find_price(self, price_id: str) -> Price | None:
        """A row of the price book."""
        return await asyncio.to_thread(self.store.catalog.price, price_id)

    async def find_refunded(self, request_id: str) -> int:
        """What was given back of a request's charge."""
        found = await asyncio.to_thread(self.store.usage.refunded, [request_id])
        return found.get(request_id, 0)

    async def check_store(self) -> str:
        """Empty where the store answers a read; whether it takes what is written, `check_escrow` tells."""
        await asyncio.to_thread(self.store.generation)
        return ""

    async def check_escrow(self) -> str:
        """Empty where holds are admitted and settles reach the store, else why not."""
        stats = self.escrow.stats()
        if stats.state != "open":
            return stats.state
        behind_s = int(stats.flush_age_s)
        return f"the store took nothing for {behind_s} s" if behind_s > _FLUSH_AGE_S_MAX else ""

    async def check_catalog(self) -> str:
        """Empty where the configuration was read."""
        return "" if self.snapshot.generation >= 0 else "not read yet"


def _tell(worker: str, report: RecoveryReport) -> None:
    if report.epoch:
        what = "recovered %s: %d settled, %d resolved, %d nanocredits"
        _log.info(what, worker, report.settled, report.resolved, report.charged)
    for doubt in report.doubts():
        _log.warning("%s", doubt)


def _with_others(desk: Desk) -> bool:
    """Whether other workers may use the same wallets: of this gateway, or of another one on the same database."""
    return desk.settings.server.workers > 1 or not desk.store.database.sqlite


def _escrow(desk: Desk, slot: int) -> Escrow:
    money = desk.settings.money
    return Escrow(
        desk.store.ledger,
        worker=f"{instance(desk.settings.data_dir)}:{slot}",
        journal_dir=desk.settings.data_dir / "journal",
        settings=EscrowSettings(
            flush_ms=money.flush_ms,
            flush_records=money.flush_records_max,
            hold_wait_ms=money.hold_wait_ms,
            idle_ms=money.lease_idle_ms,
            lease_ms=money.lease_seconds * _SECOND_MS,
            recall_ms=money.recall_ms if _with_others(desk) else EscrowSettings().recall_ms,
            lease_deadline_ms=money.lease_deadline_ms,
            heartbeat_ms=min(_HEARTBEAT_MS_MAX, money.lease_deadline_ms // 6),
            abandon_ms=money.abandon_ms,
            watch_ms=money.watch_ms,
            journal_segment_bytes=money.journal_bytes,
            values_daily_max=money.budget_values_daily_max,
            durability=money.durability,
            durability_wait_ms=money.durability_wait_ms,
        ),
    )


def _runs(desk: Desk) -> Runs:
    gateway = desk.settings.gateway
    return Runs(
        desk.store.budgets,
        depth_max=gateway.run_depth_max,
        id_chars_max=gateway.run_id_chars_max,
        daily_max=gateway.runs_daily_max,
    )


def _hold_rules(settings: Settings) -> HoldRules:
    gateway = settings.gateway
    return HoldRules(
        default_output_tokens=gateway.default_output_tokens,
        output_tokens_max=gateway.output_tokens_max,
        default_hold=parse_amount(gateway.default_hold_credits),
        hold_least=parse_amount(gateway.hold_least_credits),
    )


def _idempotency(desk: Desk, holder: Callable[[], Holder]) -> Idempotency:
    gateway = desk.settings.gateway
    return Idempotency(
        desk.store.idempotency,
        desk.store.usage,
        answer_bytes_max=gateway.idempotency_answer_bytes_max,
        hours=gateway.idempotency_hours,
        under_way_ms_max=desk.settings.upstream.total_ms + gateway.drain_ms,
        holder=holder,
    )


def _door(exchange: Exchange, settings: Settings) -> Door:
    server, gateway = settings.server, settings.gateway
    return Door(
        exchange,
        HeadLimits(**{name: getattr(server, name) for name in HeadLimits.__struct_fields__}),
        correlation_id_chars_max=gateway.correlation_id_chars_max,
        drains_max=gateway.drains_max,
        drain_ms=gateway.drain_ms,
    )


def _deadlines(settings: Settings) -> Deadlines:
    upstream = settings.upstream
    return Deadlines(
        connect_ms=upstream.connect_ms,
        first_byte_ms=upstream.first_byte_ms,
        idle_ms=upstream.idle_ms,
        total_ms=upstream.total_ms,
    )


def _limits(settings: Settings) -> Limits:
    upstream = settings.upstream
    return Limits(
        connections_max=upstream.connections_max,
        keepalive_ms=upstream.keepalive_ms,
        header_bytes_max=upstream.header_bytes_max,
        body_bytes_max=upstream.body_bytes_max,
        buffer_bytes_max=upstream.buffer_bytes_max,
    )

"""A data plane without sockets: the real exchange, router and escrow, over providers and callers that obey a test."""

import asyncio
import json
from time import monotonic

import msgspec

from joytoken.domain.apikey import ApiKey, Labels, Policy, Secret
from joytoken.domain.catalog import Catalog, Deployment, Model
from joytoken.domain.catalog import Provider as ProviderConfig
from joytoken.domain.ids import request_id, secret_digest
from joytoken.domain.ledger import wallet_account
from joytoken.domain.money import NANO
from joytoken.domain.price import Price, Rates
from joytoken.domain.tier import TIERS
from joytoken.escrow.engine import Escrow, EscrowSettings
from joytoken.gateway.admit import Admission
from joytoken.gateway.call import Call
from joytoken.gateway.count import Counter
from joytoken.gateway.exchange import Exchange
from joytoken.gateway.freeze import Freezer, HoldRules
from joytoken.gateway.idempotency import Idempotency
from joytoken.gateway.invoke import Invoker
from joytoken.gateway.keyring import Keyring
from joytoken.gateway.relay import Relay
from joytoken.gateway.runs import Runs
from joytoken.gateway.settle import Settler
from joytoken.gateway.trail import Trail
from joytoken.gateway.windows import Windows
from joytoken.providers.interface import Pieces, ProviderFailure
from joytoken.routing.health import Health
from joytoken.routing.options import RoutingOptions
from joytoken.routing.plan import Router

PEPPER = b"pepper"
SETTINGS = EscrowSettings(flush_ms=2, journal_segment_bytes=4 << 20, stop_wait_ms=3_000, hold_wait_ms=40, dry_ms=5)
RATES = Rates(1000 * 10**6, 2000 * 10**6)  # 1,000 nanocredits an input token, 2,000 an output token
NOW_US = 1_790_000_000_000_000


def a_model(name, *providers, tier="standard", rates=RATES, **fields):
    """A model served by these providers in this order, each asked for its own name."""
    deployments = tuple(Deployment(f"{name}@{p}", name, p, "up", 1000 - n * 499) for n, p in enumerate(providers))
    return Model(name, tier, Price("price-0", rates), deployments=deployments, **fields)


def a_key(name, *, owner=None, secrets=None, **fields):
    policy = {k: fields.pop(k) for k in list(fields) if k in Policy.__struct_fields__}
    fields = {"status": "active", "expires_us": None, "labels": Labels("shop"), **fields}
    given = secrets or (Secret(secret_digest(name.encode(), PEPPER), "…", 1),)
    return ApiKey(
        key_id="key-" + name,
        name=name,
        owner_id=owner or name,
        organisation="default",
        policy=Policy(**policy),
        created_us=1,
        secrets=given,
        **fields,
    )


def a_call(body, secret=b"ann", *, started_us=NOW_US, **headers):
    made = Call(monotonic(), started_us, headers.pop("peer_ip", "127.0.0.1"))
    made.api_key = secret
    made.body = body if isinstance(body, bytes) else json.dumps(body).encode()
    for name, value in headers.items():
        setattr(made, name, value)
    return made


def chat(model="plain", say="one two three", **more):
    return {"model": model, "messages": [{"role": "user", "content": say}], "max_tokens": 10, **more}


# -- the provider's side ---------------------------------------------------------------------------------------------


def completion(text="a b c", usage=(7, 3), finish="stop", **more):
    made = {"id": "c", "object": "chat.completion", "created": 1, "model": "up"}
    message = {"role": "assistant", "content": text}
    made["choices"] = [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}]
    if usage is not None:
        made["usage"] = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    return json.dumps(made | more).encode()


def event(data):
    return b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()) + b"\n\n"


def delta(said, finish=None, **more):
    made = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "up"}
    return event(made | {"choices": [{"index": 0, "delta": said, "finish_reason": finish}]} | more)


def usage_event(*usage):
    counts = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    return event({"id": "c", "created": 1, "model": "up", "choices": [], "usage": counts})


ROLE = delta({"role": "assistant", "content": ""})
DONE = event(b"[DONE]")


def stream(words=("a ", "b ", "c"), usage=(7, 3), finish="stop", done=DONE):
    parts = [ROLE, *[delta({"content": word}) for word in words]]
    parts += [delta({}, finish)] if finish else []
    parts += [usage_event(*usage)] if usage else []
    return [*parts, done] if done else parts


class FakeAnswer(Pieces):
    """An answer whose parts come one by one, each after a wait; an exception among them is raised."""

    def __init__(self, parts, status=200, headers=None):
        self.status = status
        self.parts = list(parts) if not isinstance(parts, bytes) else []
        self.content = parts if isinstance(parts, bytes) else b""
        self.headers = headers or {}
        self.closed = 0

    def header(self, name):
        return self.headers.get(name)

    async def read(self):
        await asyncio.sleep(0)
        if not self.parts:
            return b""
        part = self.parts.pop(0)
        if isinstance(part, BaseException):
            raise part
        if isinstance(part, asyncio.Event):
            await part.wait()
            return await self.read()
        return part

    def end(self):
        self.closed += 1

    def close(self):
        self.closed += 1


class FakeProvider:
    """Answers each call with the next of its answers; the last one stays."""

    takes_metadata = False
    output_bound_field = "max_tokens"

    def __init__(self, *answers, on_disconnect="close"):
        self.answers = list(answers) or [completion()]
        self.on_disconnect = on_disconnect
        self.calls = []
        self.given = []
        self.request_ids = []

    async def invoke(self, choice, body, *, stream, request_id):
        self.request_ids.append(request_id)
        self.calls.append(json.loads(body))
        await asyncio.sleep(0)
        made = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(made, ProviderFailure):
            raise made
        if not isinstance(made, FakeAnswer):
            made = FakeAnswer(made)
        elif len(self.answers) == 1:
            made = FakeAnswer(made.content or made.parts, made.status, made.headers)
        self.given.append(made)
        return made


# -- the caller's side -----------------------------------------------------------------------------------------------


class FakeCaller:
    """Keeps what it was sent. A slow one is paused after each write until it has waited."""

    def __init__(self, *, slow=False):
        self.slow = slow
        self.paused = False
        self.gone = False
        self.status = 0
        self.headers = b""
        self.body = b""
        self.ends = 0
        self.failed = False

    def reply(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body
        self.ends += 1

    def fail(self, status, headers, body):
        self.failed = True
        if not self.status:
            self.reply(status, headers, body)
        else:
            self.ends += 1

    def start(self, status, headers):
        self.status, self.headers = status, headers

    def write(self, data):
        self.body += data
        self.paused = self.slow

    def finish(self):
        self.ends += 1

    async def drain(self):
        await asyncio.sleep(0)
        self.paused = False

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]

    @property
    def events(self):
        return [part[6:] for part in self.body.decode().split("\n\n") if part.startswith("data: ")]

    @property
    def metadata(self):
        if b"event-stream" not in self.headers:
            return self.json["metadata"]
        (found,) = [json.loads(e)["metadata"] for e in self.events if '"metadata"' in e]
        return found


# -- the world -------------------------------------------------------------------------------------------------------


class World:
    """The data plane, and what it stands on in a form that a test can change."""

    def __init__(self, store, folder, settings=SETTINGS):
        self.store = store
        self.escrow = Escrow(store.ledger, worker="host:0", journal_dir=folder, settings=settings)
        self.providers = {"acme": FakeProvider(), "bolt": FakeProvider()}
        self.catalog = Catalog(0, {}, {}, {"economy": NANO // 1000, "standard": NANO // 500, "premium": NANO // 200})
        self.windows = Windows("UTC")
        self.keyring = Keyring(PEPPER, self.windows)
        self.options = RoutingOptions(breaker_failures=10**6, breaker_calls_min=10**6)
        self.health = Health(self.options, monotonic)
        self.counter = Counter()
        self.serves(a_model("plain", "acme"), a_model("pair", "acme", "bolt"))
        self.requests = 0
        self.runs_daily_max = 100_000
        self.rules = HoldRules()
        self.build()

    def build(self, **rules):
        """Put the exchange together anew."""
        self.rules = msgspec.structs.replace(self.rules, **rules)
        self.router = Router(lambda: self.catalog, self.health, self.options)
        self.settler = Settler(escrow=self.escrow, counter=self.counter, charge_cut_streams=True)
        self.relay = Relay(settler=self.settler, escrow=self.escrow, progress_ms=60_000, progress_tokens=2)
        self.admission = Admission(
            router=self.router,
            escrow=self.escrow,
            windows=self.windows,
            runs=Runs(self.store.budgets, depth_max=4, id_chars_max=128, daily_max=self.runs_daily_max),
            trusted_proxies=(),
            default_output_tokens=1024,
        )
        self.freezer = Freezer(
            router=self.router,
            escrow=self.escrow,
            counter=self.counter,
            windows=self.windows,
            rules=self.rules,
            catalog=lambda: self.catalog,
        )
        self.invoker = Invoker(
            providers=self.providers,
            health=self.health,
            escrow=self.escrow,
            counter=self.counter,
            attempts_max=4,
            event_bytes_max=1 << 20,
        )
        self.exchange = Exchange(
            keyring=self.keyring,
            admission=self.admission,
            freezer=self.freezer,
            invoker=self.invoker,
            relay=self.relay,
            settler=self.settler,
            idempotency=Idempotency(
                self.store.idempotency, self.store.usage, answer_bytes_max=1 << 20, hours=24, under_way_ms_max=60_000
            ),
            record_refusals=False,
            json_depth_max=64,
            messages_max=100,
        )

    async def start(self):
        await self.escrow.start()

    async def stop(self):
        await self.escrow.stop()

    def serves(self, *models):
        """These models, and the providers that they name."""
        names = {d.provider: None for m in models for d in m.deployments}
        providers = {
            name: ProviderConfig(name, "openai", on_disconnect=self.providers[name].on_disconnect) for name in names
        }
        self.catalog = msgspec.structs.replace(
            self.catalog,
            generation=self.catalog.generation + 1,
            providers=providers,
            models={model.name: model for model in models},
        )

    def key(self, name, *, wallets=None, **fields):
        """A key with wallets of its own, in nanocredits for each tier (default: a whole credit each)."""
        key = a_key(name, **fields)
        self.keyring.take_over(self.keyring.generation + 1, [key])
        amounts = dict.fromkeys(TIERS, NANO) if wallets is None else wallets
        for tier, amount in amounts.items():
            account = wallet_account(key.owner_id, tier)
            if amount:
                self.store.ledger.top_up(account, amount, "for the test", f"{account}", "test", 1)
        return self.keyring.find(self.keyring.digest(name.encode()), NOW_US)

    def trail(self, body, secret=b"ann", **headers):
        self.requests += 1
        call = a_call(body, secret, **headers)
        return Trail(call, request_id(call.started_us // 1000, self.requests))

    async def serve(self, body, secret=b"ann", *, caller=None, **headers):
        """One request to its end; gives caller and trail."""
        trail, caller = self.trail(body, secret, **headers), caller or FakeCaller()
        await self.exchange.serve(self.exchange.authenticate(trail), trail, caller)
        return caller, trail

    def balance(self, owner, tier="standard"):
        return self.account(wallet_account(owner, tier)).balance

    def account(self, account):
        return next(row for row in self.store.ledger.accounts(account) if row.account == account)

    async def record(self, trail):
        await self.escrow.flush_now()
        return self.store.usage.get(trail.request_id)

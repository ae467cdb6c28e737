"""A small gateway without a server: keys, a catalog, usage records, and the application over them."""

from collections.abc import Sequence
from typing import Any

from joytoken.admin.runs import RunTree
from joytoken.api.asgi import build_app
from joytoken.domain.apikey import ApiKey, Labels, Policy, Secret
from joytoken.domain.catalog import Catalog, Deployment, Model, Provider
from joytoken.domain.errors import PolicyRejected
from joytoken.domain.ids import secret_digest
from joytoken.domain.money import NANO
from joytoken.domain.price import Price, Rates
from joytoken.domain.record import UsageRecord
from joytoken.gateway.keyring import Keyring
from joytoken.gateway.windows import Windows
from tests.api.asgi_client import ask

PEPPER = b"pepper"
UPDATED_US = 1_790_000_000_000_000
GOOD, OTHER, REVOKED, EXPIRED = "jt_live_good", "jt_live_other", "jt_live_revoked", "jt_live_expired"
NEVER = Catalog(generation=-1, providers={}, models={}, usd_per_credit={})


def make_key(secret, *, key_id=None, policy=None, **fields):
    fields = {"status": "active", "expires_us": None} | fields
    return ApiKey(
        key_id=key_id or "key-" + secret,
        name=secret,
        owner_id="owner",
        organisation="default",
        labels=Labels(),
        policy=policy or Policy(),
        created_us=1,
        secrets=(Secret(secret_digest(secret.encode(), PEPPER), "jt_…", 1),),
        **fields,
    )


def make_model(name, tier="standard", *, on=("acme",), off=(), rates=None, **fields):
    """A model that is served by the providers `on`, and has disabled deployments at those of `off`."""
    deployments = [Deployment(f"{name}@{provider}", name, provider, "upstream") for provider in on]
    deployments += [Deployment(f"{name}@{provider}#off", name, provider, "upstream", enabled=False) for provider in off]
    price = Price("price-0", rates or Rates(75 * NANO, 300 * NANO))
    return Model(name, tier, price, deployments=tuple(deployments), **fields)


def make_catalog(*models, generation=7, usd_per_credit=None):
    providers = [Provider("acme", "openai"), Provider("bolt", "openai"), Provider("gone", "openai", enabled=False)]
    rates = {"economy": NANO // 1000, "standard": NANO // 500, "premium": NANO // 200}
    return Catalog(
        generation=generation,
        providers={provider.name: provider for provider in providers},
        models={model.name: model for model in models},
        usd_per_credit=rates if usd_per_credit is None else usd_per_credit,
        updated_us=UPDATED_US,
    )


class World:
    """The application, and what it stands on in a form that a test can change."""

    def __init__(self, *models, catalog=None, keys: Sequence[ApiKey] = (), ready_checks=None, **options):
        self.catalog = make_catalog(*models) if catalog is None else catalog
        self.records: dict[str, UsageRecord] = {}
        self.prices: dict[str, Price] = {}
        self.keys: dict[str, Any] = {}
        self.runs: dict[tuple[str, str], RunTree] = {}
        self.looked_up: list[Any] = []
        keyring = Keyring(PEPPER, Windows("UTC"))
        standing = (
            make_key(GOOD),
            make_key(OTHER),
            make_key(REVOKED, status="revoked"),
            make_key(EXPIRED, expires_us=2),
        )
        keyring.take_over(1, (*standing, *keys))
        options.setdefault("lookup", self.lookup)
        options.setdefault("key_of", self.key_of)
        options.setdefault("run_of", self.run_of)
        self.app = build_app(
            keyring=keyring,
            snapshot=self,
            permit=self.permit,
            price_of=self.price_of,
            ready_checks=ready_checks or {},
            version="1.2.3",
            **options,
        )

    def current(self):
        return self.catalog

    @staticmethod
    def permit(principal, call):
        if principal.policy.blocked or call.peer_ip == "203.0.113.9":
            raise PolicyRejected("not from there", "ip_not_allowed")

    async def lookup(self, request_id):
        self.looked_up.append(request_id)
        return self.records.get(request_id)

    async def key_of(self, principal):
        return self.keys[principal.key.key_id]

    async def run_of(self, owner, run_id):
        self.looked_up.append((owner, run_id))
        return self.runs.get((owner, run_id))

    async def price_of(self, price_id):
        return self.prices.get(price_id)

    async def ask(self, target, *, key=None, headers=None, **options):
        sent = dict(headers or {})
        if key is not None:
            sent["Authorization"] = f"Bearer {key}"
        return await ask(self.app, target, headers=sent, **options)

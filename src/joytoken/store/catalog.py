"""Providers, models and their deployments; the price book; what a tier's credit is worth."""

import hashlib
import time
from typing import Any

import msgspec
import sqlalchemy as sa

from joytoken.domain.catalog import Catalog, Deployment, Model, Provider
from joytoken.domain.errors import Conflict, NotFound
from joytoken.domain.price import Price, Rates, Step
from joytoken.domain.tier import TIERS, Tier
from joytoken.store.engine import Database, retried
from joytoken.store.postgres import Turn
from joytoken.store.schema import deployment, model, model_price, price_book, provider, tier_rate
from joytoken.store.setting import generation, put_value, raise_generation, value_of

_UPDATED = "catalog_updated_us"
_PROVIDER_FIELDS = Provider.__struct_fields__
_DEPLOYMENT_FIELDS = Deployment.__struct_fields__


class _RateSheet(msgspec.Struct, frozen=True):
    """A price without its id, as the price book keeps it."""

    credits: Rates
    cost_usd: Rates | None = None
    steps: tuple[Step, ...] = ()
    cost_steps: tuple[Step, ...] = ()


_decode_sheet = msgspec.json.Decoder(_RateSheet).decode


def price_id(price: Price) -> str:
    """The id that belongs to these rates: the same price has the same id, wherever and whenever it is written."""
    return "price-" + hashlib.blake2b(_rates_text(price).encode(), digest_size=8).hexdigest()


class CatalogTables:
    """The tables of the catalog. Each change raises the configuration generation; a write of what is there does not."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def snapshot(self, at_us: int | None = None) -> Catalog:
        """Everything as of one moment, for a worker's memory. A tier without a rate has 0 nano-dollars a credit."""
        with self._database.read() as conn:
            return Catalog(
                generation=generation(conn),
                providers={found.name: found for found in _providers(conn)},
                models={found.name: found for found in _models(conn)},
                usd_per_credit=dict.fromkeys(TIERS, 0) | _tier_rates(conn, _now_us() if at_us is None else at_us),
                updated_us=int(value_of(conn, _UPDATED) or 0),
            )

    def providers(self) -> list[Provider]:
        """All providers by name."""
        with self._database.read() as conn:
            return _providers(conn)

    @retried
    def put_provider(self, wanted: Provider) -> None:
        """Add a provider, or write it anew."""
        values = {name: getattr(wanted, name) for name in _PROVIDER_FIELDS}
        with self._database.write(durable=True, turn=Turn.CONFIGURATION) as conn:
            if _upsert(conn, provider, {"name": values.pop("name")}, values):
                _changed(conn)

    @retried
    def remove_provider(self, name: str) -> None:
        """Remove a provider. Raises NotFound, and Conflict while a deployment names it."""
        with self._database.write(durable=True, turn=Turn.CONFIGURATION) as conn:
            user = conn.execute(sa.select(deployment.c.deployment_id).where(deployment.c.provider == name)).scalar()
            if user is not None:
                raise Conflict(f"the provider {name} still serves the deployment {user}", "provider_in_use")
            _delete(conn, provider.c.name, name, f"there is no provider {name}", "unknown_provider")
            _changed(conn)

    def models(self) -> list[Model]:
        """All models by name, each with its price and its deployments."""
        with self._database.read() as conn:
            return _models(conn)

    @retried
    def put_model(self, wanted: Model, at_us: int | None = None) -> Model:
        """Add a model, or write it anew, with the deployments that it carries; others of the model stay.

        The price goes to the price book under the id of its rates, whatever id it came with, and counts from `at_us`
        (now). Returns the model with that id. Raises Conflict for a deployment of another model or an unknown provider.
        """
        priced = msgspec.structs.replace(wanted.price, price_id=price_id(wanted.price))
        made = msgspec.structs.replace(wanted, price=priced)
        at_us = _now_us() if at_us is None else at_us
        with self._database.write(durable=True, turn=Turn.CONFIGURATION) as conn:
            _book(conn, priced, at_us)
            before = conn.execute(sa.select(model.c.price_id).where(model.c.name == made.name)).scalar()
            if before != priced.price_id:
                _upsert(conn, model_price, {"model": made.name, "from_us": at_us}, {"price_id": priced.price_id})
            values = {"price_id": priced.price_id, "document": _document(made)}
            changed = _upsert(conn, model, {"name": made.name}, values)
            for position, part in enumerate(made.deployments):
                if part.model != made.name:
                    raise Conflict(f"the deployment {part.deployment_id} is one of {part.model}", "deployment_model")
                changed |= _put_deployment(conn, part, position)
            if changed:
                _changed(conn)
        return made

    @retried
    def remove_model(self, name: str) -> None:
        """Remove a model and its deployments. Its prices stay in the book. Raises NotFound."""
        with self._database.write(durable=True, turn=Turn.CONFIGURATION) as conn:
            conn.execute(sa.delete(deployment).where(deployment.c.model == name))
            _delete(conn, model.c.name, name, f"there is no model {name}", "unknown_model")
            _changed(conn)

    @retried
    def put_deployment(self, wanted: Deployment) -> None:
        """Add a deployment as the last of its model, or write it anew. Raises Conflict: unknown model or provider."""
        with self._database.write(durable=True, turn=Turn.CONFIGURATION) as conn:
            if _put_deployment(conn, wanted, None):
                _changed(conn)

    @retried
    def remove_deployment(self, deployment_id: str) -> None:
        """Remove a deployment. Raises NotFound."""
        with self._database.write(durable=True, turn=Turn.CONFIGURATION) as conn:
            missing = f"there is no deployment {deployment_id}"
            _delete(conn, deployment.c.deployment_id, deployment_id, missing, "unknown_deployment")
            _changed(conn)

    def price(self, wanted: str) -> Price | None:
        """The price of this id, also one that no model has any more."""
        with self._database.read() as conn:
            rates = conn.execute(
                sa.select(price_book.c.rates).where(price_book.c.price_id == wanted)
            ).scalar_one_or_none()
            return None if rates is None else _price_of(wanted, rates)

    def price_history(self, name: str) -> list[tuple[int, str]]:
        """Which price ids a model had from when on (unix microseconds), oldest first."""
        query = sa.select(model_price.c.from_us, model_price.c.price_id).where(model_price.c.model == name)
        with self._database.read() as conn:
            return [(row.from_us, row.price_id) for row in conn.execute(query.order_by(model_price.c.from_us))]

    def usd_per_credit(self, at_us: int | None = None) -> dict[Tier, int]:
        """What a credit of each tier is worth at that time (now), in nano-dollars; only tiers that have a rate."""
        with self._database.read() as conn:
            return _tier_rates(conn, _now_us() if at_us is None else at_us)

    @retried
    def put_usd_per_credit(self, tier: Tier, nanousd: int, at_us: int) -> None:
        """Set a tier's rate from `at_us` on; earlier rates stay on the record."""
        with self._database.write(durable=True, turn=Turn.CONFIGURATION) as conn:
            if _tier_rates(conn, at_us).get(tier) != nanousd:
                _upsert(conn, tier_rate, {"tier": tier, "from_us": at_us}, {"usd_per_credit": nanousd})
                _changed(conn)


def _now_us() -> int:
    return time.time_ns() // 1_000


def _changed(conn: sa.Connection) -> None:
    raise_generation(conn)
    put_value(conn, _UPDATED, str(_now_us()))


def _upsert(conn: sa.Connection, table: sa.Table, key: dict[str, Any], values: dict[str, Any]) -> bool:
    """Write a row under its key; tells whether anything is different now."""
    here = sa.and_(*(table.c[name] == value for name, value in key.items()))
    found = conn.execute(sa.select(*(table.c[name] for name in values)).where(here)).one_or_none()
    if found is None:
        conn.execute(sa.insert(table).values(**key, **values))
        return True
    if tuple(found) == tuple(values.values()):
        return False
    conn.execute(sa.update(table).where(here).values(**values))
    return True


def _delete(conn: sa.Connection, key: sa.Column[str], value: str, missing: str, code: str) -> None:
    if conn.execute(sa.delete(key.table).where(key == value)).rowcount == 0:
        raise NotFound(missing, code)


def _providers(conn: sa.Connection) -> list[Provider]:
    query = sa.select(*(provider.c[name] for name in _PROVIDER_FIELDS)).order_by(provider.c.name)
    return [Provider(*row) for row in conn.execute(query)]


def _models(conn: sa.Connection) -> list[Model]:
    deployments: dict[str, list[Deployment]] = {}
    parts = sa.select(*(deployment.c[name] for name in _DEPLOYMENT_FIELDS))
    for row in conn.execute(parts.order_by(deployment.c.model, deployment.c.position, deployment.c.deployment_id)):
        deployments.setdefault(row.model, []).append(Deployment(*row))
    query = sa.select(model.c.name, model.c.document, price_book.c.price_id, price_book.c.rates)
    rows = conn.execute(query.join(price_book, price_book.c.price_id == model.c.price_id).order_by(model.c.name))
    return [_model_of(row, tuple(deployments.get(row.name, ()))) for row in rows]


def _model_of(row: Any, deployments: tuple[Deployment, ...]) -> Model:
    document = msgspec.json.decode(row.document)
    document["price"] = _price_of(row.price_id, row.rates)
    document["deployments"] = deployments
    return msgspec.convert(document, Model)


def _document(wanted: Model) -> str:
    fields = msgspec.to_builtins(wanted)
    del fields["price"], fields["deployments"]
    return msgspec.json.encode(fields, order="sorted").decode()


def _put_deployment(conn: sa.Connection, wanted: Deployment, position: int | None) -> bool:
    if conn.execute(sa.select(model.c.name).where(model.c.name == wanted.model)).first() is None:
        raise Conflict(f"there is no model {wanted.model}", "unknown_model", param="model")
    if conn.execute(sa.select(provider.c.name).where(provider.c.name == wanted.provider)).first() is None:
        raise Conflict(f"there is no provider {wanted.provider}", "unknown_provider", param="provider")
    values = {name: getattr(wanted, name) for name in _DEPLOYMENT_FIELDS}
    key = {"deployment_id": values.pop("deployment_id")}
    if position is None:
        position = _position(conn, wanted)
    return _upsert(conn, deployment, key, values | {"position": position})


def _position(conn: sa.Connection, wanted: Deployment) -> int:
    """Where a deployment stands within its model: where it stood, or after all others."""
    own = (deployment.c.deployment_id == wanted.deployment_id) & (deployment.c.model == wanted.model)
    stood: int | None = conn.execute(sa.select(deployment.c.position).where(own)).scalar()
    if stood is not None:
        return stood
    last: int | None = conn.execute(
        sa.select(sa.func.max(deployment.c.position)).where(deployment.c.model == wanted.model)
    ).scalar()
    return 0 if last is None else last + 1


def _rates_text(price: Price) -> str:
    sheet = _RateSheet(price.credits, price.cost_usd, price.steps, price.cost_steps)
    # Without what is not set, so that a bucket which this project learns of later changes no older price's id.
    return msgspec.json.encode(_pruned(msgspec.to_builtins(sheet)), order="sorted").decode()


def _pruned(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _pruned(part) for name, part in value.items() if part is not None and part != []}
    return [_pruned(part) for part in value] if isinstance(value, list | tuple) else value


def _price_of(found: str, rates: str) -> Price:
    sheet = _decode_sheet(rates)
    return Price(found, sheet.credits, sheet.cost_usd, sheet.steps, sheet.cost_steps)


def _book(conn: sa.Connection, price: Price, at_us: int) -> None:
    if conn.execute(sa.select(price_book.c.price_id).where(price_book.c.price_id == price.price_id)).first() is None:
        conn.execute(sa.insert(price_book).values(price_id=price.price_id, rates=_rates_text(price), created_us=at_us))


def _tier_rates(conn: sa.Connection, at_us: int) -> dict[Tier, int]:
    rows = conn.execute(sa.select(tier_rate).where(tier_rate.c.from_us <= at_us).order_by(tier_rate.c.from_us))
    return {row.tier: row.usd_per_credit for row in rows}  # the latest of each tier comes last

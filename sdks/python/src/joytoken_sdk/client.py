"""What JoyToken adds to the `openai` package: the catalog, prices, receipts, runs, and the calling key itself."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar
from urllib.parse import quote

from joytoken_sdk.account import KeyInfo, Receipt, RunTree
from joytoken_sdk.catalog import ModelInfo, ModelMetadata, Pricing
from joytoken_sdk.environment import Settings, settings_of
from joytoken_sdk.errors import InvalidCall, JoyTokenError, joytoken_errors
from joytoken_sdk.json_value import JsonObject, object_of, objects_of
from joytoken_sdk.record import Record

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

T = TypeVar("T")
R = TypeVar("R", bound=Record)
ModelLocale = Literal["zh", "en"]


@dataclass(frozen=True, slots=True)
class _Get(Generic[T]):
    """One call: where to, and how its answer is read."""

    path: str
    read: Callable[[object], T]
    query: dict[str, str]


class JoyToken:
    """A gateway, as its callers see it.

    `api_key`, `api_base_url` and `openai_base_url` stand for `JOY_TOKEN_API_KEY`, `JOY_TOKEN_API_BASE_URL` and
    `JOY_TOKEN_OPENAI_BASE_URL`; without any address it is `http://localhost:7410`. `options` are those of
    `openai.OpenAI`, such as `timeout` (seconds), `max_retries` and `http_client`. Its calls raise `JoyTokenAPIError`,
    and `InvalidCall` of what is not sent at all.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        api_base_url: str | None = None,
        openai_base_url: str | None = None,
        **options: Any,
    ) -> None:
        self._settings = settings_of(api_key, api_base_url, openai_base_url)
        self._options = options

    @cached_property
    def openai(self) -> "OpenAI":
        """The `openai` package's client on this gateway, for model calls: see `openai_client`."""
        from joytoken_sdk.openai_clients import openai_client

        return openai_client(**_addresses(self._settings), **self._options)

    def models(
        self,
        *,
        locale: ModelLocale | None = None,
        tier: str | None = None,
        provider: str | None = None,
        feature_tag: str | None = None,
        pack: str | None = None,
    ) -> list[ModelInfo]:
        """Return the models that are offered, or those of a tier, a provider, a feature or an industry pack.

        No key is needed; what is told of them comes in the locale's language.
        """
        return self._get(_models(locale, tier=tier, provider=provider, feature_tag=feature_tag, pack=pack))

    def models_meta(self) -> ModelMetadata:
        """Return what models can be filtered by."""
        return self._get(_META)

    def pricing(self) -> Pricing:
        """Return tiers and SKUs with their rates."""
        return self._get(_PRICING)

    def receipt(self, request_id: str) -> Receipt:
        """Return all of one request that this key has made. Raises NotFound of any other."""
        return self._get(_receipt(request_id))

    def key(self) -> KeyInfo:
        """Return what the calling key may do, has spent, and can spend."""
        return self._get(_KEY)

    def run(self, run_id: str) -> RunTree:
        """Return a run of this key's owner, with the runs below it. Raises NotFound of any other."""
        return self._get(_run(run_id))

    def close(self) -> None:
        """Close the connections."""
        if "openai" in self.__dict__:
            self.openai.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"JoyToken(api_base_url={self._settings.api_base_url!r})"

    def _get(self, call: _Get[T]) -> T:
        url = self._settings.api_base_url + call.path
        with joytoken_errors():
            answer = self.openai.get(url, cast_to=object, options={"params": call.query})
        return call.read(answer)


class AsyncJoyToken:
    """As `JoyToken`; its calls are awaited."""

    def __init__(
        self,
        *,
        api_key: str | None = None,
        api_base_url: str | None = None,
        openai_base_url: str | None = None,
        **options: Any,
    ) -> None:
        self._settings = settings_of(api_key, api_base_url, openai_base_url)
        self._options = options

    @cached_property
    def openai(self) -> "AsyncOpenAI":
        """The `openai` package's asynchronous client on this gateway: see `async_openai_client`."""
        from joytoken_sdk.openai_clients import async_openai_client

        return async_openai_client(**_addresses(self._settings), **self._options)

    async def models(
        self,
        *,
        locale: ModelLocale | None = None,
        tier: str | None = None,
        provider: str | None = None,
        feature_tag: str | None = None,
        pack: str | None = None,
    ) -> list[ModelInfo]:
        """As `JoyToken.models`."""
        return await self._get(_models(locale, tier=tier, provider=provider, feature_tag=feature_tag, pack=pack))

    async def models_meta(self) -> ModelMetadata:
        """As `JoyToken.models_meta`."""
        return await self._get(_META)

    async def pricing(self) -> Pricing:
        """As `JoyToken.pricing`."""
        return await self._get(_PRICING)

    async def receipt(self, request_id: str) -> Receipt:
        """As `JoyToken.receipt`."""
        return await self._get(_receipt(request_id))

    async def key(self) -> KeyInfo:
        """As `JoyToken.key`."""
        return await self._get(_KEY)

    async def run(self, run_id: str) -> RunTree:
        """As `JoyToken.run`."""
        return await self._get(_run(run_id))

    async def close(self) -> None:
        """Close the connections."""
        if "openai" in self.__dict__:
            await self.openai.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncJoyToken(api_base_url={self._settings.api_base_url!r})"

    async def _get(self, call: _Get[T]) -> T:
        url = self._settings.api_base_url + call.path
        with joytoken_errors():
            answer = await self.openai.get(url, cast_to=object, options={"params": call.query})
        return call.read(answer)


def _addresses(settings: Settings) -> dict[str, str]:
    return {
        "api_key": settings.api_key,
        "api_base_url": settings.api_base_url,
        "openai_base_url": settings.openai_base_url,
    }


def _models(locale: str | None, **filters: str | None) -> _Get[list[ModelInfo]]:
    if locale not in {None, "zh", "en"}:
        raise InvalidCall('JoyToken model locale must be "zh" or "en".')
    query = {name: value for name, value in {"locale": locale, **filters}.items() if value is not None}
    return _Get("/api/v1/models", _read_models, query)


def _receipt(request_id: str) -> _Get[Receipt]:
    return _Get(f"/api/v1/requests/{_segment('request_id', request_id)}", _bare(Receipt), {})


def _run(run_id: str) -> _Get[RunTree]:
    return _Get(f"/api/v1/runs/{_segment('run_id', run_id)}", _bare(RunTree), {})


def _segment(name: str, value: str) -> str:
    """Return an id as a part of a path, out of which it does not lead."""
    if not value or set(value) <= {"."}:
        raise InvalidCall(f"{name} must be the id of one, and not {value!r}")
    return quote(value, safe="")


def _read_models(answer: object) -> list[ModelInfo]:
    """Read the catalog: a list in `data.models`, or in `data` itself."""
    data = _object(answer).get("data")
    inner = object_of(data)
    listed = data if inner is None else inner.get("models")
    if not isinstance(listed, list):
        raise JoyTokenError("JoyToken model list response must contain data.models or an array in data.")
    return [ModelInfo.read(model) for model in objects_of(listed)]  # pyright: ignore[reportUnknownArgumentType]


def _bare(kind: type[R]) -> Callable[[object], R]:
    return lambda answer: kind.read(_object(answer))


def _in_data(kind: type[R]) -> Callable[[object], R]:
    return lambda answer: kind.read(_object(_object(answer).get("data")))


def _object(answer: object) -> JsonObject:
    read = object_of(answer)
    if read is None:
        raise JoyTokenError("JoyToken did not answer with a JSON object. Does the base URL lead to a gateway?")
    return read


_META = _Get("/api/v1/models/meta", _in_data(ModelMetadata), {})
_PRICING = _Get("/api/v1/pricing", _in_data(Pricing), {})
_KEY = _Get("/api/v1/key", _bare(KeyInfo), {})

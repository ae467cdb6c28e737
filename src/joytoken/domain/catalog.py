"""What can be called, through whom, at what price."""

from typing import Literal

import msgspec

from joytoken.domain.price import Price
from joytoken.domain.tier import Tier

Disconnect = Literal["close", "drain"]
Tokenizer = Literal["o200k_base", "cl100k_base", "o200k_harmony", "llama3", "qwen3"]

# What a request can ask for and a model can have; the names are the catalog's feature tags.
FEATURES = ("chat", "code", "tools", "vision", "audio", "json_schema", "reasoning", "embedding", "agent")


class Provider(msgspec.Struct, frozen=True):
    """Who answers: an account at a vendor, or a server of one's own."""

    name: str
    kind: str  # the wire protocol: a name in the providers' registry, such as "openai" or "echo"
    base_url: str = ""
    api_key_env: str | None = None  # name of the environment variable that holds the credential
    sealed_key: bytes | None = None  # or the credential itself, encrypted under the data folder's secret
    enabled: bool = True
    on_disconnect: Disconnect = "close"  # "drain" for providers that bill a stream to its end
    ca_file: str | None = None


class Deployment(msgspec.Struct, frozen=True):
    """One way to serve a model: a provider and the name that the model has there."""

    deployment_id: str
    model: str
    provider: str
    upstream_model: str
    weight: int = 1
    enabled: bool = True


class Model(msgspec.Struct, frozen=True):
    """A model by its public name, with its price and what it can do."""

    name: str
    tier: Tier
    price: Price
    display_name: str = ""
    aliases: tuple[str, ...] = ()
    vendor: str = ""  # shown as the catalog's provider
    tags: tuple[str, ...] = ()  # SKU tags: lock, spot, auction, first
    features: tuple[str, ...] = ("chat",)
    scenarios: tuple[str, ...] = ()  # industry packs
    description: str = ""
    description_zh: str = ""
    context_tokens: int | None = None
    output_tokens_max: int | None = None
    mci_score: float | None = None  # 100-point scale; None where unknown
    tokenizer: Tokenizer | None = None  # None: counted by the bound from bytes
    enabled: bool = True
    deployments: tuple[Deployment, ...] = ()


class Catalog(msgspec.Struct):
    """A snapshot of all providers and models at one configuration generation."""

    generation: int
    providers: dict[str, Provider]
    models: dict[str, Model]
    usd_per_credit: dict[Tier, int]  # nano-dollars
    updated_us: int = 0

"""Models and prices, as the gateway offers them."""

from joytoken_sdk.record import CamelRecord


class ModelInfo(CamelRecord):
    """A model of the catalog. Prices are credits a million tokens."""

    model_id: str | None = None
    model_key: str | None = None
    display_name: str | None = None
    alias: str | None = None
    tier: str | None = None
    tags: list[str] | None = None
    description: str | None = None
    customer_input_mtok: float | None = None
    customer_output_mtok: float | None = None
    customer_cacheread_mtok: float | None = None
    customer_cachewrite_mtok: float | None = None
    customer_image_input_mtok: str | None = None
    customer_image_output_mtok: str | None = None
    customer_image_cached_input_mtok: str | None = None
    provider: str | None = None
    feature_tags: list[str] | None = None
    scenario_tags: list[str] | None = None
    mci_score: float | None = None
    """Quality, on a scale of 100."""


class CatalogOption(CamelRecord):
    """A value of the catalog with its label."""

    value: str = ""
    label: str = ""


class ModelMetadata(CamelRecord):
    """What models can be filtered by."""

    tiers: list[CatalogOption] = []
    skus: list[CatalogOption] = []
    feature_tags: list[CatalogOption] = []
    industry_packs: list[CatalogOption] = []
    providers: list[CatalogOption] = []
    updated_at: str | None = None
    """RFC 3339, UTC."""


class PricingTier(CamelRecord):
    """A tier and what its credit is worth; amounts are decimal texts."""

    code: str = ""
    name: str = ""
    description: str = ""
    usd_per_credit: str = ""
    credits_per_usd: str = ""
    unit: str = ""
    rate_version: str = ""
    sort_order: int | None = None
    updated_at: str | None = None


class PricingSku(CamelRecord):
    """A way in which capacity is sold."""

    code: str = ""
    name: str = ""
    description: str = ""


class Pricing(CamelRecord):
    """Tiers and SKUs with their rates."""

    tiers: list[PricingTier] = []
    skus: list[PricingSku] = []
    current_version: str = ""
    updated_at: str | None = None

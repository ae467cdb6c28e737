/** The language in which names and descriptions of the catalog come. */
export type ModelLocale = "zh" | "en";

/** What `models.list` takes. */
export interface ListModelsOptions {
  locale?: ModelLocale | undefined;
}

/** A model of the catalog. Prices are credits a million tokens. */
export interface ModelInfo {
  modelId?: string | undefined;
  modelKey?: string | undefined;
  displayName?: string | undefined;
  alias?: string | undefined;
  tier?: string | undefined;
  tags?: string[] | undefined;
  description?: string | undefined;
  customerInputMtok?: number | undefined;
  customerOutputMtok?: number | undefined;
  customerCachereadMtok?: number | undefined;
  customerCachewriteMtok?: number | undefined;
  customerImageInputMtok?: string | undefined;
  customerImageOutputMtok?: string | undefined;
  customerImageCachedInputMtok?: string | undefined;
  provider?: string | undefined;
  featureTags?: string[] | undefined;
  scenarioTags?: string[] | undefined;
  /** Quality, on a scale of 100. */
  mciScore?: number | null | undefined;
  [field: string]: unknown;
}

/** What `models.list` gives. */
export interface ModelListResponse {
  code?: number | string | undefined;
  message?: string | undefined;
  object?: string | undefined;
  data: { models: ModelInfo[]; [field: string]: unknown };
  [field: string]: unknown;
}

/** A value of the catalog with its label. */
export interface CatalogOption {
  value: string;
  label: string;
}

/** What models can be filtered by. */
export interface ModelMetadata {
  tiers: CatalogOption[];
  skus: CatalogOption[];
  featureTags: CatalogOption[];
  industryPacks: CatalogOption[];
  providers: CatalogOption[];
  updatedAt: string;
  [field: string]: unknown;
}

/** What `models.meta` gives. */
export interface ModelMetadataResponse {
  code: number | string;
  data: ModelMetadata;
  message: string;
}

/** A tier and what its credit is worth; amounts are decimal texts. */
export interface PricingTier {
  code: string;
  name: string;
  description: string;
  usdPerCredit: string;
  creditsPerUsd: string;
  unit: string;
  rateVersion: string;
  sortOrder: number;
  updatedAt: string;
  [field: string]: unknown;
}

/** A unit that is sold. */
export interface PricingSku {
  code: string;
  name: string;
  description: string;
  [field: string]: unknown;
}

/** Tiers and SKUs with their rates. */
export interface Pricing {
  tiers: PricingTier[];
  skus: PricingSku[];
  currentVersion: string;
  updatedAt: string;
  [field: string]: unknown;
}

/** What `pricing.retrieve` gives. */
export interface PricingResponse {
  code: number | string;
  data: Pricing;
  message: string;
}

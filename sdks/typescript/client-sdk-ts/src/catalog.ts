import { isObject } from "./json.js";
import type { Transport } from "./transport.js";
import type { ListModelsOptions, ModelListResponse, ModelMetadataResponse, PricingResponse } from "./types/catalog.js";
import type { CallOptions } from "./types/options.js";

/** `client.models`: the catalog. */
export class Models {
  readonly #transport: Transport;
  readonly #url: string;

  constructor(transport: Transport, apiBaseUrl: string) {
    this.#transport = transport;
    this.#url = `${apiBaseUrl}/api/v1/models`;
  }

  /** The models. No key is needed. */
  async list({ locale }: ListModelsOptions = {}, options: CallOptions = {}): Promise<ModelListResponse> {
    if (locale !== undefined && locale !== "zh" && locale !== "en") {
      throw new Error('JoyToken model locale must be "zh" or "en".');
    }
    const url = locale === undefined ? this.#url : `${this.#url}?locale=${locale}`;
    const { value } = await this.#transport.json({ method: "GET", url, paid: false, keyRequired: false, options });
    return modelListOf(value);
  }

  /** What models can be filtered by. */
  async meta(options: CallOptions = {}): Promise<ModelMetadataResponse> {
    const call = { method: "GET" as const, url: `${this.#url}/meta`, paid: false, options };
    return (await this.#transport.json(call)).value as ModelMetadataResponse;
  }
}

/** A list in `data` is lifted to `data.models`. */
function modelListOf(value: unknown): ModelListResponse {
  const data = isObject(value) ? value["data"] : undefined;
  if (isObject(value) && Array.isArray(data)) return { ...value, data: { models: data } };
  if (isObject(data) && Array.isArray(data["models"])) return value as ModelListResponse;
  throw new Error("JoyToken model list response must contain data.models or an array in data.");
}

/** `client.pricing`. */
export class PricingCalls {
  readonly #transport: Transport;
  readonly #url: string;

  constructor(transport: Transport, apiBaseUrl: string) {
    this.#transport = transport;
    this.#url = `${apiBaseUrl}/api/v1/pricing`;
  }

  /** What a credit of each tier is worth. */
  async retrieve(options: CallOptions = {}): Promise<PricingResponse> {
    const call = { method: "GET" as const, url: this.#url, paid: false, options };
    return (await this.#transport.json(call)).value as PricingResponse;
  }
}

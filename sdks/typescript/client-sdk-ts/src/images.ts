import { checkModel } from "./request-check.js";
import type { Transport } from "./transport.js";
import type { ImageEditRequest, ImageGenerationRequest, ImageGenerationResponse } from "./types/images.js";
import type { CallOptions } from "./types/options.js";

/** `client.images`. */
export class Images {
  readonly #transport: Transport;
  readonly #url: string;

  constructor(transport: Transport, openAIBaseUrl: string) {
    this.#transport = transport;
    this.#url = `${openAIBaseUrl}/images`;
  }

  /** Make images. */
  async generate(request: ImageGenerationRequest, options: CallOptions = {}): Promise<ImageGenerationResponse> {
    checkModel(request.model);
    return this.#post("generations", request, options);
  }

  /** Change one image or several; sent as JSON. */
  async edit(request: ImageEditRequest, options: CallOptions = {}): Promise<ImageGenerationResponse> {
    checkModel(request.model);
    const images = Array.isArray(request.image) ? request.image : [request.image];
    if (images.length === 0 || !images.every(isText)) {
      throw new Error("JoyToken images.edit needs image: a text, or a list of texts, none of them empty.");
    }
    if (!isText(request.prompt)) throw new Error("JoyToken images.edit needs a prompt that is not empty.");
    return this.#post("edits", request, options);
  }

  async #post(path: string, body: unknown, options: CallOptions): Promise<ImageGenerationResponse> {
    const call = { method: "POST" as const, url: `${this.#url}/${path}`, body, paid: true, options };
    return (await this.#transport.json(call)).value as ImageGenerationResponse;
  }
}

function isText(value: unknown): boolean {
  return typeof value === "string" && value.trim() !== "";
}

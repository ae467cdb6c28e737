import type { JoyTokenModel } from "./model.js";

/** What `images.generate` takes. */
export interface ImageGenerationRequest {
  model: JoyTokenModel;
  prompt: string;
  n?: number | undefined;
  quality?: string | undefined;
  response_format?: "url" | "b64_json" | undefined;
  size?: string | undefined;
  style?: string | undefined;
  user?: string | undefined;
  background?: string | undefined;
  moderation?: string | undefined;
  output_compression?: number | undefined;
  output_format?: string | undefined;
  [field: string]: unknown;
}

/** What `images.edit` takes; it is sent as JSON. */
export interface ImageEditRequest {
  model: JoyTokenModel;
  prompt: string;
  /** A URL or data URL, or several. */
  image: string | string[];
  n?: number | undefined;
  size?: string | undefined;
  user?: string | undefined;
  response_format?: "url" | "b64_json" | undefined;
  [field: string]: unknown;
}

/** An image: its URL, or its bytes as base64. */
export interface GeneratedImage {
  url?: string | undefined;
  b64_json?: string | undefined;
  /** The prompt as the model changed it. */
  revised_prompt?: string | undefined;
  [field: string]: unknown;
}

/** What both calls of images give. */
export interface ImageGenerationResponse {
  created?: number | undefined;
  data: GeneratedImage[];
  /** `usage.credits_used` is what the images cost, as a decimal text; `callMetadata` reads the rest. */
  metadata?: Record<string, unknown> | undefined;
  [field: string]: unknown;
}

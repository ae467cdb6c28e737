import { given, readEnvironment } from "./environment.js";
import type { JoyTokenClientOptions } from "./types/options.js";

/** Where a gateway is that runs on this machine. */
export const DEFAULT_API_BASE_URL = "http://localhost:7410";

const OPENAI_ENDPOINT = /(\/openai\/v1)\/(?:chat\/completions|responses|images\/generations|images\/edits)$/i;
const ANTHROPIC_PATH = /\/anthropic\/v1(?:\/messages)?$/i;
const REPEATED_PATH = /(?:\/openai\/v1)+$/i;

/** The addresses that a client calls. */
export interface BaseUrls {
  api: string;
  openAI: string;
  anthropic: string;
}

/** The address without its trailing slashes; a loop, for a pattern would take long for hostile ones. */
function withoutSlashes(url: string): string {
  let end = url.length;
  while (end > 0 && url[end - 1] === "/") end--;
  return url.slice(0, end);
}

/** The base of the OpenAI paths, from any address of the gateway that somebody has at hand. */
export function openAIBaseUrlFrom(url: string): string {
  const bare = withoutSlashes(url).replace(OPENAI_ENDPOINT, "$1").replace(ANTHROPIC_PATH, "");
  return `${withoutSlashes(bare).replace(REPEATED_PATH, "")}/openai/v1`;
}

/** Options, then the environment, then this machine. */
export function baseUrlsFrom(options: JoyTokenClientOptions): BaseUrls {
  const api = given(options.apiBaseUrl) ?? readEnvironment("JOY_TOKEN_API_BASE_URL");
  const anthropic = given(options.anthropicBaseUrl) ?? readEnvironment("JOY_TOKEN_ANTHROPIC_BASE_URL");
  const openAI = given(options.openAIBaseUrl) ?? readEnvironment("JOY_TOKEN_OPENAI_BASE_URL");
  const apiBase = withoutSlashes(api ?? DEFAULT_API_BASE_URL);
  return {
    api: apiBase,
    openAI: openAIBaseUrlFrom(openAI ?? api ?? anthropic ?? DEFAULT_API_BASE_URL),
    anthropic: withoutSlashes(anthropic ?? `${apiBase}/anthropic/v1`),
  };
}

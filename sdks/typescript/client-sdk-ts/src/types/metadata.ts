/** Milliseconds, with at most three decimals. */
export interface CallLatency {
  /** Until a model was chosen and the credits were held. */
  routing_ms?: number | undefined;
  /** Until the first token; on streams only. */
  first_token_ms?: number | null | undefined;
  /** From the first token to the last; on streams only. */
  stream_ms?: number | null | undefined;
  total_ms?: number | undefined;
}

/** What a call cost. Amounts are decimal texts, exact; tokens that the provider did not report are null. */
export interface CallBilling {
  /** Credits, such as `"0.041016667"`. */
  credits_used?: string | undefined;
  input_tokens?: number | null | undefined;
  output_tokens?: number | null | undefined;
  cached_input_tokens?: number | null | undefined;
  cached_output_tokens?: number | null | undefined;
  reasoning_tokens?: number | null | undefined;
  /** US dollars that the credits are worth. */
  usd_cost?: string | null | undefined;
  /** The rule by which it was billed, such as `completed` or `client_gone`. */
  ending?: string | undefined;
  /** Whose figures these are: `reported`, `estimated`, `recovered` or `none`. */
  usage_source?: string | undefined;
  [field: string]: unknown;
}

/** What the gateway says of an answer. */
export interface CallMetadata {
  /** The id under which the receipt is kept. */
  request_id?: string | undefined;
  billing_id?: string | undefined;
  model?: string | undefined;
  provider?: string | undefined;
  tier?: string | undefined;
  tag?: string[] | undefined;
  score?: number | null | undefined;
  latency?: CallLatency | undefined;
  billing?: CallBilling | undefined;
  [field: string]: unknown;
}

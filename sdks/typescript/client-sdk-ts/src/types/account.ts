/** All of one request: who asked for what, how it was routed, what it cost and by which rule. */
export interface Receipt {
  request: ReceiptRequest;
  ending: ReceiptEnding;
  money: ReceiptMoney;
  /** The row of the price book that was used; null where nothing was priced. */
  price: Record<string, unknown> | null;
  route: ReceiptRoute;
  attempts: ReceiptAttempt[];
  /** Milliseconds since the request began, by step. */
  timings: Record<string, number>;
  notes?: string[] | undefined;
  [field: string]: unknown;
}

/** The usage record of a receipt. Amounts are decimal texts; tokens that the provider did not report are null. */
export interface ReceiptRequest {
  request_id: string;
  billing_id: string;
  correlation_id?: string | null | undefined;
  /** RFC 3339, UTC. */
  started_at: string;
  finished_at: string;
  ending: string;
  usage_source: string;
  model_requested?: string | null | undefined;
  model?: string | null | undefined;
  provider?: string | null | undefined;
  tier?: string | null | undefined;
  owner: string;
  key_id: string;
  end_user?: string | null | undefined;
  run?: string | null | undefined;
  parent_run?: string | null | undefined;
  workflow?: string | null | undefined;
  step?: string | null | undefined;
  tags?: Record<string, unknown> | undefined;
  input_tokens?: number | null | undefined;
  output_tokens?: number | null | undefined;
  /** Credits. */
  charged: string;
  total_ms: number;
  [field: string]: unknown;
}

/** How a request ended, and what that ending charges. */
export interface ReceiptEnding {
  name: string;
  rule: string;
  usage_source: string;
  [field: string]: unknown;
}

/** What was held, settled and released, in credits. */
export interface ReceiptMoney {
  hold: string;
  settled: string;
  released: string;
  [field: string]: unknown;
}

/** How the model was found. */
export interface ReceiptRoute {
  rule: string;
  /** The models that were looked at, each with the reason for or against it. */
  candidates?: Record<string, unknown>[] | undefined;
  [field: string]: unknown;
}

/** One call of a provider; times are milliseconds since the request began. */
export interface ReceiptAttempt {
  provider: string;
  model: string;
  status?: number | null | undefined;
  error?: string | null | undefined;
  started_ms: number;
  ended_ms: number;
  [field: string]: unknown;
}

/** What the calling key may do, has spent, and can spend. Credits are decimal texts, times RFC 3339 in UTC. */
export interface KeyInfo {
  id: string;
  name: string;
  status: string;
  owner: string;
  expires_at: string | null;
  project: string;
  application: string;
  environment: string;
  task: string;
  policy: KeyPolicy;
  /** The key's own limits of a day and a week. */
  limits: KeyLimit[];
  /** The budgets that cover each of its requests. */
  budgets: KeyLimit[];
  wallets: KeyWallet[];
  [field: string]: unknown;
}

/** What a key may ask for. Empty lists allow, or deny, nothing in particular. */
export interface KeyPolicy {
  blocked?: boolean | undefined;
  allowed_tiers?: string[] | undefined;
  tier?: string | null | undefined;
  fixed_model?: string | null | undefined;
  allow_models?: string[] | undefined;
  deny_models?: string[] | undefined;
  requests_per_minute?: number | null | undefined;
  tokens_per_minute?: number | null | undefined;
  concurrency?: number | null | undefined;
  output_tokens_max?: number | null | undefined;
  /** Whether the key may set the budget of a run. */
  run_budget?: boolean | undefined;
  [field: string]: unknown;
}

/** What a key may spend in the window that is open. */
export interface KeyLimit {
  /** Of the budget; empty for a limit of the key's own. */
  name: string;
  window: "day" | "week" | "month" | "total";
  limit: string;
  spent: string;
  /** Held for requests under way. */
  frozen: string;
  left: string;
  ends_at: string | null;
  [field: string]: unknown;
}

/** The credits of one tier. */
export interface KeyWallet {
  tier: string;
  balance: string;
  /** Held for requests under way. */
  frozen: string;
  available: string;
  /** US dollars that `available` is worth. */
  usd: string;
  [field: string]: unknown;
}

/** A run with the runs below it and their requests. */
export interface RunTree {
  id: string;
  owner: string;
  workflow: string;
  runs: RunNode[];
  requests: RunRequest[];
  /** Whether there are more than are listed. */
  more: boolean;
  [field: string]: unknown;
}

/** One run of a tree. `charged` is its own credits, `total` those of the runs below it, too. */
export interface RunNode {
  id: string;
  /** The run that began it; empty or null where none did. */
  parent: string | null;
  depth: number;
  workflow: string;
  requests: number;
  errors: number;
  input_tokens: number;
  output_tokens: number;
  charged: string;
  total: string;
  budget: string | null;
  left: string | null;
  started_at: string | null;
  finished_at: string | null;
  [field: string]: unknown;
}

/** One request of a run. */
export interface RunRequest {
  request_id: string;
  run: string;
  step: string;
  model: string;
  tier: string;
  ending: string;
  credits_used: string;
  input_tokens: number | null;
  output_tokens: number | null;
  started_at: string;
  total_ms: number;
  [field: string]: unknown;
}

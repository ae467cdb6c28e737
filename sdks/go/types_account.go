package joytoken

// Receipt tells all of one request: who asked for what, how it was routed, what it cost, and by which rule. Credits and
// dollars are decimal texts, times of attempts and timings milliseconds since the request began.
type Receipt struct {
	Request ReceiptRequest `json:"request"`
	Ending  ReceiptEnding  `json:"ending"`
	Money   ReceiptMoney   `json:"money"`
	// Price is the row of the price book that was used; nil where nothing was priced.
	Price    map[string]any     `json:"price"`
	Route    ReceiptRoute       `json:"route"`
	Attempts []ReceiptAttempt   `json:"attempts"`
	Timings  map[string]float64 `json:"timings"`
	Notes    []string           `json:"notes"`
}

// ReceiptRequest is the usage record of a receipt. Tokens that the provider did not report are nil.
type ReceiptRequest struct {
	RequestID         string         `json:"request_id"`
	BillingID         string         `json:"billing_id"`
	CorrelationID     string         `json:"correlation_id"`
	StartedAt         string         `json:"started_at"`
	FinishedAt        string         `json:"finished_at"`
	Ending            string         `json:"ending"`
	UsageSource       string         `json:"usage_source"`
	HTTPStatus        int            `json:"http_status"`
	ErrorCode         string         `json:"error_code"`
	Endpoint          string         `json:"endpoint"`
	Streamed          bool           `json:"streamed"`
	ModelRequested    string         `json:"model_requested"`
	Model             string         `json:"model"`
	Provider          string         `json:"provider"`
	Deployment        string         `json:"deployment"`
	ProviderRequestID string         `json:"provider_request_id"`
	Tier              string         `json:"tier"`
	Organisation      string         `json:"organisation"`
	Owner             string         `json:"owner"`
	KeyID             string         `json:"key_id"`
	Project           string         `json:"project"`
	Application       string         `json:"application"`
	Environment       string         `json:"environment"`
	Task              string         `json:"task"`
	EndUser           string         `json:"end_user"`
	RunID             string         `json:"run"`
	ParentRunID       string         `json:"parent_run"`
	Workflow          string         `json:"workflow"`
	Step              string         `json:"step"`
	Tags              map[string]any `json:"tags"`
	InputTokens       *int           `json:"input_tokens"`
	OutputTokens      *int           `json:"output_tokens"`
	CachedInputTokens *int           `json:"cached_input_tokens"`
	CacheWriteTokens  *int           `json:"cache_write_tokens"`
	AudioInputTokens  *int           `json:"audio_input_tokens"`
	AudioOutputTokens *int           `json:"audio_output_tokens"`
	ReasoningTokens   *int           `json:"reasoning_tokens"`
	PriceID           string         `json:"price_id"`
	Hold              string         `json:"hold"`
	Cost              string         `json:"cost"`
	Charged           string         `json:"charged"`
	Refunded          string         `json:"refunded"`
	Shortfall         string         `json:"shortfall"`
	ChargedUSD        *string        `json:"charged_usd"`
	AttemptCount      int            `json:"attempts"`
	RoutingMS         float64        `json:"routing_ms"`
	FirstTokenMS      *float64       `json:"first_token_ms"`
	StreamMS          *float64       `json:"stream_ms"`
	TotalMS           float64        `json:"total_ms"`
}

// ReceiptEnding says how a request ended and what that ending charges.
type ReceiptEnding struct {
	Name        string `json:"name"`
	Rule        string `json:"rule"`
	UsageSource string `json:"usage_source"`
}

// ReceiptMoney says what was held, settled and released.
type ReceiptMoney struct {
	Accounts     []string `json:"accounts"`
	Hold         string   `json:"hold"`
	Settled      string   `json:"settled"`
	Released     string   `json:"released"`
	Refunded     string   `json:"refunded"`
	Shortfall    string   `json:"shortfall"`
	Cost         string   `json:"cost"`
	InputBound   int      `json:"input_bound"`
	OutputBound  int      `json:"output_bound"`
	Clamped      bool     `json:"clamped"`
	USDPerCredit string   `json:"usd_per_credit"`
	ChargedUSD   *string  `json:"charged_usd"`
}

// ReceiptRoute says how the model was found.
type ReceiptRoute struct {
	Rule           string   `json:"rule"`
	RequestedModel string   `json:"requested_model"`
	RequestedTier  string   `json:"requested_tier"`
	Tier           string   `json:"tier"`
	TierFallbacks  []string `json:"tier_fallbacks"`
	// Candidates are the models that were looked at, each with the reason for or against it.
	Candidates []map[string]any `json:"candidates"`
}

// ReceiptAttempt is one call of a provider.
type ReceiptAttempt struct {
	Provider   string `json:"provider"`
	Deployment string `json:"deployment"`
	Model      string `json:"model"`
	// Status is the provider's; 0 where none came.
	Status            int      `json:"status"`
	Error             string   `json:"error"`
	StartedMS         float64  `json:"started_ms"`
	FirstByteMS       *float64 `json:"first_byte_ms"`
	EndedMS           float64  `json:"ended_ms"`
	ProviderRequestID string   `json:"provider_request_id"`
}

// KeyInfo is what a key may do, what it has spent, and what is there to spend. Credits are decimal texts, times RFC 3339.
type KeyInfo struct {
	ID          string  `json:"id"`
	Name        string  `json:"name"`
	Status      string  `json:"status"`
	Owner       string  `json:"owner"`
	ExpiresAt   *string `json:"expires_at"`
	Project     string  `json:"project"`
	Application string  `json:"application"`
	Environment string  `json:"environment"`
	Task        string  `json:"task"`
	// Policy has the fields of the key's policy, such as allowed_tiers, fixed_model and model_blacklist.
	Policy  map[string]any `json:"policy"`
	Limits  []KeyLimit     `json:"limits"`
	Wallets []KeyWallet    `json:"wallets"`
}

// KeyLimit is what a key may spend in a day or a week.
type KeyLimit struct {
	// Window is day or week.
	Window string  `json:"window"`
	Limit  string  `json:"limit"`
	Spent  string  `json:"spent"`
	Frozen string  `json:"frozen"`
	Left   string  `json:"left"`
	EndsAt *string `json:"ends_at"`
}

// KeyWallet is what is left of one tier's credits.
type KeyWallet struct {
	Tier    string `json:"tier"`
	Balance string `json:"balance"`
	// Frozen is held for requests under way.
	Frozen    string `json:"frozen"`
	Available string `json:"available"`
	USD       string `json:"usd"`
}

// RunTree is a run with the runs below it and their requests.
type RunTree struct {
	ID       string       `json:"id"`
	Owner    string       `json:"owner"`
	Workflow string       `json:"workflow"`
	Runs     []RunNode    `json:"runs"`
	Requests []RunRequest `json:"requests"`
	// More says that there are more runs or requests than are listed.
	More bool `json:"more"`
}

// RunNode is one run of a tree. Charged is its own credits, Total those of the runs below it, too.
type RunNode struct {
	ID           string  `json:"id"`
	Parent       *string `json:"parent"`
	Depth        int     `json:"depth"`
	Workflow     string  `json:"workflow"`
	Requests     int     `json:"requests"`
	Errors       int     `json:"errors"`
	InputTokens  int     `json:"input_tokens"`
	OutputTokens int     `json:"output_tokens"`
	Charged      string  `json:"charged"`
	Total        string  `json:"total"`
	Budget       *string `json:"budget"`
	Left         *string `json:"left"`
	StartedAt    *string `json:"started_at"`
	FinishedAt   *string `json:"finished_at"`
}

// RunRequest is one request of a run.
type RunRequest struct {
	RequestID    string  `json:"request_id"`
	Run          string  `json:"run"`
	Step         string  `json:"step"`
	Model        string  `json:"model"`
	Tier         string  `json:"tier"`
	Ending       string  `json:"ending"`
	CreditsUsed  string  `json:"credits_used"`
	InputTokens  *int    `json:"input_tokens"`
	OutputTokens *int    `json:"output_tokens"`
	StartedAt    string  `json:"started_at"`
	TotalMS      float64 `json:"total_ms"`
}

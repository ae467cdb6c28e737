"""Every act of management, once."""

from typing import Any

from joytoken.admin.audit import AuditList, AuditQuery, list_audit
from joytoken.admin.budgets import (
    BudgetList,
    BudgetQuery,
    BudgetRef,
    BudgetRemoved,
    BudgetSet,
    BudgetShown,
    list_budgets,
    remove_budget,
    set_budget,
    show_budget,
)
from joytoken.admin.incidents import (
    IncidentDocument,
    IncidentList,
    IncidentQuery,
    IncidentRef,
    close_incident,
    list_incidents,
)
from joytoken.admin.keys import (
    KeyCreate,
    KeyCreated,
    KeyDocument,
    KeyList,
    KeyQuery,
    KeyRef,
    KeyRotate,
    KeyUpdate,
    create_key,
    list_keys,
    revoke_key,
    rotate_key,
    show_key,
    update_key,
)
from joytoken.admin.models import (
    ModelAdd,
    ModelDocument,
    ModelList,
    ModelQuery,
    ModelRemove,
    ModelUpdate,
    Removed,
    add_model,
    list_models,
    remove_model,
    update_model,
)
from joytoken.admin.operation import Operation
from joytoken.admin.operations_credit import CREDIT_OPERATIONS
from joytoken.admin.operations_months import MONTH_OPERATIONS
from joytoken.admin.prices import (
    PriceBook,
    PriceDocument,
    PriceRef,
    PricesQuery,
    TierPrice,
    TierPriceUpdate,
    list_prices,
    set_tier_price,
    show_price,
)
from joytoken.admin.providers import (
    PresetList,
    ProviderAdd,
    ProviderDocument,
    ProviderList,
    ProviderQuery,
    ProviderRef,
    ProviderRemove,
    ProviderTest,
    add_provider,
    check_provider,
    list_presets,
    list_providers,
    remove_provider,
)
from joytoken.admin.receipts import Receipt
from joytoken.admin.requests import (
    RequestPage,
    RequestQuery,
    RequestRef,
    RequestTail,
    TailQuery,
    list_requests,
    show_request,
    tail_requests,
)
from joytoken.admin.routes import Explanation, RouteQuery, explain_route
from joytoken.admin.runs import RunRef, RunTree, show_run
from joytoken.admin.usage import (
    LatencyReport,
    UsageLatencyQuery,
    UsageReport,
    UsageSummaryQuery,
    summarise_latency,
    summarise_usage,
)
from joytoken.admin.wallets import (
    Statement,
    StatementQuery,
    Verified,
    VerifyQuery,
    WalletChange,
    WalletList,
    WalletQuery,
    WalletTopUp,
    WalletTransaction,
    adjust,
    show_wallets,
    statement,
    top_up,
    verify,
)

_CREATED = 201

KEYS_CREATE: Operation[KeyCreate, KeyCreated] = Operation(
    "keys.create",
    "Make a key; its credential is shown this once",
    "POST",
    "/keys",
    KeyCreate,
    KeyCreated,
    create_key,
    _CREATED,
)
KEYS_LIST: Operation[KeyQuery, KeyList] = Operation(
    "keys.list", "All keys, oldest first", "GET", "/keys", KeyQuery, KeyList, list_keys
)
KEYS_SHOW: Operation[KeyRef, KeyDocument] = Operation(
    "keys.show", "One key, by id or unique name", "GET", "/keys/{id}", KeyRef, KeyDocument, show_key
)
KEYS_UPDATE: Operation[KeyUpdate, KeyDocument] = Operation(
    "keys.update",
    "Change a key; live everywhere within a second",
    "PATCH",
    "/keys/{id}",
    KeyUpdate,
    KeyDocument,
    update_key,
)
KEYS_ROTATE: Operation[KeyRotate, KeyCreated] = Operation(
    "keys.rotate",
    "Give a key a new credential; the old one stays good for the overlap",
    "POST",
    "/keys/{id}/rotate",
    KeyRotate,
    KeyCreated,
    rotate_key,
)
KEYS_REVOKE: Operation[KeyRef, KeyDocument] = Operation(
    "keys.revoke", "End a key for good", "POST", "/keys/{id}/revoke", KeyRef, KeyDocument, revoke_key
)
WALLETS_SHOW: Operation[WalletQuery, WalletList] = Operation(
    "wallets.show", "The wallets of an owner", "GET", "/wallets", WalletQuery, WalletList, show_wallets
)
WALLETS_TOP_UP: Operation[WalletTopUp, WalletTransaction] = Operation(
    "wallets.top_up",
    "Add credits to a wallet",
    "POST",
    "/wallets/{tier}/top-up",
    WalletTopUp,
    WalletTransaction,
    top_up,
)
WALLETS_ADJUST: Operation[WalletChange, WalletTransaction] = Operation(
    "wallets.adjust",
    "Correct a wallet by an amount that may be negative",
    "POST",
    "/wallets/{tier}/adjust",
    WalletChange,
    WalletTransaction,
    adjust,
)
WALLETS_STATEMENT: Operation[StatementQuery, Statement] = Operation(
    "wallets.statement",
    "The ledger entries of a wallet, newest first",
    "GET",
    "/wallets/{tier}/statement",
    StatementQuery,
    Statement,
    statement,
)
VERIFY: Operation[VerifyQuery, Verified] = Operation(
    "verify", "Prove the books", "GET", "/verify", VerifyQuery, Verified, verify
)
MODELS_LIST: Operation[ModelQuery, ModelList] = Operation(
    "models.list", "All models with prices and deployments", "GET", "/models", ModelQuery, ModelList, list_models
)
MODELS_ADD: Operation[ModelAdd, ModelDocument] = Operation(
    "models.add",
    "Add a model, or a deployment to a model that is there",
    "POST",
    "/models",
    ModelAdd,
    ModelDocument,
    add_model,
    _CREATED,
)
MODELS_UPDATE: Operation[ModelUpdate, ModelDocument] = Operation(
    "models.update",
    "Change a model or its price",
    "PATCH",
    "/models/{name}",
    ModelUpdate,
    ModelDocument,
    update_model,
)
MODELS_REMOVE: Operation[ModelRemove, Removed] = Operation(
    "models.remove",
    "Remove a model, or one of its deployments",
    "DELETE",
    "/models/{name}",
    ModelRemove,
    Removed,
    remove_model,
)
PROVIDERS_LIST: Operation[ProviderQuery, ProviderList] = Operation(
    "providers.list", "All providers", "GET", "/providers", ProviderQuery, ProviderList, list_providers
)
PROVIDERS_PRESETS: Operation[ProviderQuery, PresetList] = Operation(
    "providers.presets",
    "Vendors whose settings are known",
    "GET",
    "/providers/presets",
    ProviderQuery,
    PresetList,
    list_presets,
)
PROVIDERS_ADD: Operation[ProviderAdd, ProviderDocument] = Operation(
    "providers.add",
    "Add a provider, or write it anew",
    "POST",
    "/providers",
    ProviderAdd,
    ProviderDocument,
    add_provider,
    _CREATED,
)
PROVIDERS_REMOVE: Operation[ProviderRemove, Removed] = Operation(
    "providers.remove", "Remove a provider", "DELETE", "/providers/{name}", ProviderRemove, Removed, remove_provider
)
PROVIDERS_TEST: Operation[ProviderRef, ProviderTest] = Operation(
    "providers.test",
    "Ask a provider for its models",
    "POST",
    "/providers/{name}/test",
    ProviderRef,
    ProviderTest,
    check_provider,
)
PRICES_LIST: Operation[PricesQuery, PriceBook] = Operation(
    "prices.list", "All prices now", "GET", "/prices", PricesQuery, PriceBook, list_prices
)
PRICES_SHOW: Operation[PriceRef, PriceDocument] = Operation(
    "prices.show",
    "A row of the price book, also an old one",
    "GET",
    "/prices/{price_id}",
    PriceRef,
    PriceDocument,
    show_price,
)
PRICES_TIER: Operation[TierPriceUpdate, TierPrice] = Operation(
    "prices.tier",
    "Set what a credit of a tier is worth",
    "PUT",
    "/prices/tiers/{tier}",
    TierPriceUpdate,
    TierPrice,
    set_tier_price,
)
USAGE_SUMMARY: Operation[UsageSummaryQuery, UsageReport] = Operation(
    "usage.summary",
    "Usage by any grouping, in any time zone",
    "GET",
    "/usage",
    UsageSummaryQuery,
    UsageReport,
    summarise_usage,
)
USAGE_LATENCY: Operation[UsageLatencyQuery, LatencyReport] = Operation(
    "usage.latency",
    "How long requests took, by provider, model, day and hour",
    "GET",
    "/usage/latency",
    UsageLatencyQuery,
    LatencyReport,
    summarise_latency,
)
REQUESTS_LIST: Operation[RequestQuery, RequestPage] = Operation(
    "requests.list", "A page of requests, newest first", "GET", "/requests", RequestQuery, RequestPage, list_requests
)
REQUESTS_TAIL: Operation[TailQuery, RequestTail] = Operation(
    "requests.tail", "Requests recorded after a cursor", "GET", "/requests/tail", TailQuery, RequestTail, tail_requests
)
REQUESTS_SHOW: Operation[RequestRef, Receipt] = Operation(
    "requests.show", "The receipt of a request", "GET", "/requests/{id}", RequestRef, Receipt, show_request
)
RUNS_SHOW: Operation[RunRef, RunTree] = Operation(
    "runs.show", "A run and the runs below it, with what each has cost", "GET", "/runs/{id}", RunRef, RunTree, show_run
)
BUDGETS_SET: Operation[BudgetSet, BudgetShown] = Operation(
    "budgets.set", "Make or change a budget", "PUT", "/budgets/{name}", BudgetSet, BudgetShown, set_budget
)
BUDGETS_LIST: Operation[BudgetQuery, BudgetList] = Operation(
    "budgets.list", "All budgets, oldest first", "GET", "/budgets", BudgetQuery, BudgetList, list_budgets
)
BUDGETS_SHOW: Operation[BudgetRef, BudgetShown] = Operation(
    "budgets.show", "A budget, and what is spent of it", "GET", "/budgets/{name}", BudgetRef, BudgetShown, show_budget
)
BUDGETS_REMOVE: Operation[BudgetRef, BudgetRemoved] = Operation(
    "budgets.remove", "Remove a budget", "DELETE", "/budgets/{name}", BudgetRef, BudgetRemoved, remove_budget
)
AUDIT_LIST: Operation[AuditQuery, AuditList] = Operation(
    "audit.list", "Who changed what, newest first", "GET", "/audit", AuditQuery, AuditList, list_audit
)
INCIDENTS_LIST: Operation[IncidentQuery, IncidentList] = Operation(
    "incidents.list",
    "What happened to money that an operator should know of, newest first",
    "GET",
    "/incidents",
    IncidentQuery,
    IncidentList,
    list_incidents,
)
INCIDENTS_CLOSE: Operation[IncidentRef, IncidentDocument] = Operation(
    "incidents.close",
    "Close an incident that will not close by itself",
    "POST",
    "/incidents/{id}/close",
    IncidentRef,
    IncidentDocument,
    close_incident,
)
ROUTES_EXPLAIN: Operation[RouteQuery, Explanation] = Operation(
    "routes.explain",
    "Which deployment would be chosen, and why, without a call",
    "POST",
    "/routes/explain",
    RouteQuery,
    Explanation,
    explain_route,
)

# In the order in which a router must try them: fixed paths before those with a name in the same place.
OPERATIONS: tuple[Operation[Any, Any], ...] = (
    KEYS_CREATE,
    KEYS_LIST,
    KEYS_ROTATE,
    KEYS_REVOKE,
    KEYS_SHOW,
    KEYS_UPDATE,
    BUDGETS_SET,
    BUDGETS_LIST,
    BUDGETS_SHOW,
    BUDGETS_REMOVE,
    WALLETS_SHOW,
    WALLETS_TOP_UP,
    WALLETS_ADJUST,
    WALLETS_STATEMENT,
    VERIFY,
    MODELS_LIST,
    MODELS_ADD,
    MODELS_UPDATE,
    MODELS_REMOVE,
    PROVIDERS_LIST,
    PROVIDERS_PRESETS,
    PROVIDERS_ADD,
    PROVIDERS_TEST,
    PROVIDERS_REMOVE,
    PRICES_LIST,
    PRICES_TIER,
    PRICES_SHOW,
    USAGE_SUMMARY,
    USAGE_LATENCY,
    *MONTH_OPERATIONS,
    REQUESTS_LIST,
    REQUESTS_TAIL,
    REQUESTS_SHOW,
    RUNS_SHOW,
    AUDIT_LIST,
    INCIDENTS_LIST,
    INCIDENTS_CLOSE,
    ROUTES_EXPLAIN,
    *CREDIT_OPERATIONS,
)

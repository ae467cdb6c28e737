"""The acts of management around credits: grants, refunds, transfers, thresholds, webhooks, admin keys."""

from typing import Any

from joytoken.admin.admin_keys import (
    AdminKeyCreate,
    AdminKeyCreated,
    AdminKeyDocument,
    AdminKeyList,
    AdminKeyQuery,
    AdminKeyRef,
    create_admin_key,
    list_admin_keys,
    revoke_admin_key,
)
from joytoken.admin.grants import (
    GrantList,
    GrantQuery,
    GrantVoid,
    Refund,
    Threshold,
    ThresholdDocument,
    Transfer,
    list_grants,
    refund_request,
    set_threshold,
    transfer,
    void_grant,
)
from joytoken.admin.models import Removed
from joytoken.admin.operation import Operation
from joytoken.admin.wallets import WalletTransaction
from joytoken.admin.webhooks import (
    DeliveryList,
    DeliveryQuery,
    WebhookDocument,
    WebhookList,
    WebhookQuery,
    WebhookRef,
    WebhookSet,
    WebhookTest,
    check_webhook,
    list_deliveries,
    list_webhooks,
    remove_webhook,
    set_webhook,
)

GRANTS_LIST: Operation[GrantQuery, GrantList] = Operation(
    "grants.list",
    "The grants of a wallet, in the order in which they are burned",
    "GET",
    "/wallets/{tier}/grants",
    GrantQuery,
    GrantList,
    list_grants,
)
GRANTS_VOID: Operation[GrantVoid, WalletTransaction] = Operation(
    "grants.void", "End a grant", "POST", "/grants/{id}/void", GrantVoid, WalletTransaction, void_grant
)
REQUESTS_REFUND: Operation[Refund, WalletTransaction] = Operation(
    "requests.refund",
    "Give back what a request was charged, or a part of it",
    "POST",
    "/requests/{id}/refund",
    Refund,
    WalletTransaction,
    refund_request,
)
WALLETS_TRANSFER: Operation[Transfer, WalletTransaction] = Operation(
    "wallets.transfer",
    "Move credits from one wallet to another",
    "POST",
    "/wallets/{tier}/transfer",
    Transfer,
    WalletTransaction,
    transfer,
)
WALLETS_THRESHOLD: Operation[Threshold, ThresholdDocument] = Operation(
    "wallets.threshold",
    "Set below which balance the webhooks are told of a wallet",
    "PUT",
    "/wallets/{tier}/threshold",
    Threshold,
    ThresholdDocument,
    set_threshold,
)
WEBHOOKS_LIST: Operation[WebhookQuery, WebhookList] = Operation(
    "webhooks.list", "All webhooks", "GET", "/webhooks", WebhookQuery, WebhookList, list_webhooks
)
WEBHOOKS_DELIVERIES: Operation[DeliveryQuery, DeliveryList] = Operation(
    "webhooks.deliveries",
    "What was sent to webhooks, newest first, and what came of it",
    "GET",
    "/webhooks/deliveries",
    DeliveryQuery,
    DeliveryList,
    list_deliveries,
)
WEBHOOKS_SET: Operation[WebhookSet, WebhookDocument] = Operation(
    "webhooks.set",
    "Add a webhook, or change one; a secret that is made is shown this once",
    "PUT",
    "/webhooks/{name}",
    WebhookSet,
    WebhookDocument,
    set_webhook,
)
WEBHOOKS_TEST: Operation[WebhookRef, WebhookTest] = Operation(
    "webhooks.test", "Send a test event now", "POST", "/webhooks/{name}/test", WebhookRef, WebhookTest, check_webhook
)
WEBHOOKS_REMOVE: Operation[WebhookRef, Removed] = Operation(
    "webhooks.remove", "Remove a webhook", "DELETE", "/webhooks/{name}", WebhookRef, Removed, remove_webhook
)
ADMIN_KEYS_LIST: Operation[AdminKeyQuery, AdminKeyList] = Operation(
    "admin_keys.list",
    "All admin keys, oldest first",
    "GET",
    "/admin-keys",
    AdminKeyQuery,
    AdminKeyList,
    list_admin_keys,
)
ADMIN_KEYS_CREATE: Operation[AdminKeyCreate, AdminKeyCreated] = Operation(
    "admin_keys.create",
    "Make an admin key; its credential is shown this once",
    "POST",
    "/admin-keys",
    AdminKeyCreate,
    AdminKeyCreated,
    create_admin_key,
    201,
)
ADMIN_KEYS_REVOKE: Operation[AdminKeyRef, AdminKeyDocument] = Operation(
    "admin_keys.revoke",
    "End an admin key for good",
    "POST",
    "/admin-keys/{id}/revoke",
    AdminKeyRef,
    AdminKeyDocument,
    revoke_admin_key,
)

# In the order in which a router must try them.
CREDIT_OPERATIONS: tuple[Operation[Any, Any], ...] = (
    GRANTS_LIST,
    GRANTS_VOID,
    REQUESTS_REFUND,
    WALLETS_TRANSFER,
    WALLETS_THRESHOLD,
    WEBHOOKS_LIST,
    WEBHOOKS_DELIVERIES,
    WEBHOOKS_SET,
    WEBHOOKS_TEST,
    WEBHOOKS_REMOVE,
    ADMIN_KEYS_LIST,
    ADMIN_KEYS_CREATE,
    ADMIN_KEYS_REVOKE,
)

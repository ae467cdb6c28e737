"""Webhooks: who is told of events, a test of whether they hear it, and what became of what was sent."""

import asyncio
import re

import msgspec

from joytoken.admin.delivery import SECRET_BYTES, Sent, make_webhook_secret, secret_bytes, send
from joytoken.admin.desk import Desk
from joytoken.admin.models import Removed
from joytoken.admin.times import SECOND_US, spell_time
from joytoken.domain.errors import InvalidRequest, NotFound
from joytoken.domain.ids import uuid7_hex
from joytoken.providers.transport import parse_origin
from joytoken.store.webhooks import Delivery, Webhook

PAGE_MAX = 1000
TEST = "webhook.test"
STATES = ("pending", "delivered", "given_up")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class WebhookQuery(msgspec.Struct):
    """Nothing can be chosen."""


class WebhookSet(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A webhook, new or anew: what is left out stays. Without a secret of one's own, one is made for a new webhook."""

    name: str
    url: str | None = None
    secret: str | None = None
    rotate: bool = False
    enabled: bool | None = None


class WebhookRef(msgspec.Struct, forbid_unknown_fields=True):
    """A webhook by its name."""

    name: str


class WebhookDocument(msgspec.Struct, kw_only=True):
    """Where events are sent. `secret` is shown once, when it was made."""

    name: str
    url: str
    enabled: bool
    created_at: str
    secret: str | None = None


class WebhookList(msgspec.Struct):
    """All webhooks by name."""

    webhooks: list[WebhookDocument]


class WebhookTest(msgspec.Struct, kw_only=True):
    """What came of a test event. `status` is the receiver's, 0 where none came."""

    name: str
    ok: bool
    status: int
    message: str
    event_id: str


class DeliveryQuery(msgspec.Struct, kw_only=True):
    """Which deliveries to show, newest first."""

    webhook: str | None = None
    state: str | None = None
    limit: int = 50


class DeliveryDocument(msgspec.Struct, kw_only=True):
    """One event for one webhook. `next_at`: of a pending one, when it is tried again."""

    event_id: str
    webhook: str
    type: str
    subject: str
    at: str
    state: str
    attempts: int
    status: int
    error: str
    next_at: str | None
    done_at: str | None


class DeliveryList(msgspec.Struct):
    """Deliveries, newest first."""

    deliveries: list[DeliveryDocument]


def list_webhooks(desk: Desk, request: WebhookQuery) -> WebhookList:  # noqa: ARG001 - every operation takes a request
    """All webhooks."""
    return WebhookList([_document(webhook) for webhook in desk.store.webhooks.list()])


def set_webhook(desk: Desk, request: WebhookSet) -> WebhookDocument:
    """Add a webhook, or change one. Raises InvalidRequest."""
    if not _NAME.fullmatch(request.name):
        raise InvalidRequest("a webhook's name has lower-case letters, digits, dots and dashes", param="name")
    old = next((known for known in desk.store.webhooks.list() if known.name == request.name), None)
    url = request.url if request.url is not None else "" if old is None else old.url
    try:
        parse_origin(url)
    except ValueError as error:
        raise InvalidRequest(str(error), param="url") from None
    secret = request.secret
    if secret is not None:
        try:
            secret_bytes(secret)
        except ValueError as error:
            raise InvalidRequest(str(error), param="secret") from None
    made = None
    if secret is None and (old is None or request.rotate):
        secret = made = make_webhook_secret(desk.entropy(SECRET_BYTES))
    sealed = (
        desk.vault.seal(secret, _owner(request.name))
        if secret is not None
        else b""
        if old is None
        else old.sealed_secret
    )
    enabled = request.enabled if request.enabled is not None else old is None or old.enabled
    created = desk.now_us() if old is None else old.created_us
    webhook = Webhook(request.name, url, sealed, enabled, created)
    desk.store.webhooks.put(webhook)
    after = _document(webhook)
    desk.note("webhook.set", webhook.name, None if old is None else _document(old), after)
    return msgspec.structs.replace(after, secret=made)


def remove_webhook(desk: Desk, request: WebhookRef) -> Removed:
    """Remove a webhook; what waits for it is given up. Raises NotFound."""
    webhook = find_webhook(desk, request.name)
    desk.store.webhooks.remove(webhook.name)
    desk.note("webhook.remove", webhook.name, _document(webhook))
    return Removed(webhook.name)


def check_webhook(desk: Desk, request: WebhookRef) -> WebhookTest:
    """Send a test event now, from here. Raises NotFound; a receiver that fails is a result, not an error."""
    webhook = find_webhook(desk, request.name)
    now = desk.now_us()
    event_id = f"evt-test-{uuid7_hex(now // 1000, int.from_bytes(desk.entropy(10), 'big'))}"
    body = msgspec.json.encode({"type": TEST, "timestamp": spell_time(now), "data": {"webhook": webhook.name}})
    sent = asyncio.run(deliver(desk, webhook, event_id, body))
    message = sent.error or "it was taken"
    return WebhookTest(name=webhook.name, ok=sent.ok, status=sent.status, message=message, event_id=event_id)


def list_deliveries(desk: Desk, request: DeliveryQuery) -> DeliveryList:
    """What was sent, and what came of it. Raises InvalidRequest."""
    if not 1 <= request.limit <= PAGE_MAX:
        raise InvalidRequest(f"a page has 1 to {PAGE_MAX} deliveries", param="limit")
    if request.state is not None and request.state not in STATES:
        raise InvalidRequest(f"{request.state!r} is no state; they are {', '.join(STATES)}", param="state")
    found = desk.store.webhooks.deliveries(request.webhook, request.state, request.limit)
    return DeliveryList([_delivery(delivery) for delivery in found])


async def deliver(desk: Desk, webhook: Webhook, event_id: str, body: bytes) -> Sent:
    """Sign and send one event. Raises VaultError where the secret cannot be opened."""
    secret = desk.vault.open(webhook.sealed_secret, _owner(webhook.name))
    return await send(webhook.url, secret, event_id, body, desk.now_us() // SECOND_US, desk.settings.webhooks)


def find_webhook(desk: Desk, name: str) -> Webhook:
    """A webhook by name. Raises NotFound."""
    found = next((webhook for webhook in desk.store.webhooks.list() if webhook.name == name), None)
    if found is None:
        raise NotFound(f"there is no webhook {name!r}", "unknown_webhook", param="name")
    return found


def _owner(name: str) -> str:
    return f"webhook:{name}"


def _document(webhook: Webhook) -> WebhookDocument:
    return WebhookDocument(
        name=webhook.name, url=webhook.url, enabled=webhook.enabled, created_at=spell_time(webhook.created_us)
    )


def _delivery(delivery: Delivery) -> DeliveryDocument:
    return DeliveryDocument(
        event_id=delivery.event_id,
        webhook=delivery.webhook,
        type=delivery.kind,
        subject=delivery.subject,
        at=spell_time(delivery.at_us),
        state=delivery.state,
        attempts=delivery.attempts,
        status=delivery.status,
        error=delivery.error,
        next_at=spell_time(delivery.next_us) if delivery.state == "pending" else None,
        done_at=spell_time(delivery.done_us) if delivery.done_us else None,
    )

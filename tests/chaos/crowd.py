"""Callers who go on asking whatever becomes of the gateway, and remember what they were told."""

import asyncio
import itertools
import json
import random
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from joytoken.domain.money import parse_amount
from tests.journeys.crowd import Heard, ask, request, run
from tests.journeys.gateway import Customer, Gateway

PATIENCE_S = 120.0
NOBODY_S = 0.2  # before the next attempt where nobody listens
REFUSED_S = 0.15  # … and after a refusal, so that a dry wallet is not all that is asked about


@dataclass(frozen=True)
class Ask:
    """What a caller may ask: a body, and after how many seconds at most they hang up (None: never)."""

    model: str
    stream: bool = False
    max_tokens: int = 50
    leaves_s: float | None = None


@dataclass(slots=True)
class Told:
    """What became of one request, as its caller saw it. `charged` is in nanocredits, None where nothing was said."""

    key_id: str
    began: float  # seconds, monotonic
    ended: float
    status: int = 0
    code: str = ""
    why: str = ""
    request_id: str = ""
    whole: bool = False
    charged: int | None = None
    retry_after: bool = False
    left: bool = False  # the caller hung up
    refused: bool = False  # nobody listened

    @property
    def served(self) -> bool:
        """Whether the caller has a whole answer of the model."""
        return self.status == 200 and self.whole


class Crowd(threading.Thread):
    """Each of `callers` keys is one caller who asks again and again, at any of the gateways, until `end`."""

    def __init__(
        self, gateways: Sequence[Gateway], callers: Sequence[Customer], asks: Sequence[Ask], dice: random.Random
    ) -> None:
        super().__init__(name="crowd", daemon=True)
        self.gateways = gateways
        self.avoided: Gateway | None = None  # nobody goes there now
        self.told: list[Told] = []
        self._callers = [(caller, random.Random(dice.random())) for caller in callers]
        self._asks = asks
        self._going_on = True
        self._failure: BaseException | None = None
        self.start()

    def run(self) -> None:
        try:
            run(self._all())
        except BaseException as failure:  # noqa: BLE001 - told to whoever ends the crowd
            self._failure = failure

    def go(self) -> None:
        """Let nobody ask again."""
        self._going_on = False

    def end(self) -> list[Told]:
        """Let each caller have their answer, and give what all were told."""
        self.go()
        self.join(PATIENCE_S)
        assert not self.is_alive(), "callers wait for an answer that does not come"
        if self._failure is not None:
            raise self._failure
        return self.told

    async def _all(self) -> None:
        await asyncio.gather(*[self._one(caller, dice) for caller, dice in self._callers])

    async def _one(self, caller: Customer, dice: random.Random) -> None:
        for turn in itertools.count(dice.randrange(len(self.gateways))):
            if not self._going_on:
                return
            wish = dice.choice(self._asks)
            for other in range(len(self.gateways)):
                gateway = self.gateways[(turn + other) % len(self.gateways)]
                if gateway is self.avoided:
                    continue
                told = await once(gateway.url, caller, wish, dice)
                if not told.refused:
                    break
            self.told.append(told)
            if told.status != 200 and not told.left:
                await asyncio.sleep((REFUSED_S if told.status else NOBODY_S) * (0.5 + dice.random()))


async def once(url: str, caller: Customer, wish: Ask, dice: random.Random) -> Told:
    """One request of one caller."""
    client = Customer(url, caller.api_key)
    body: dict[str, Any] = {"model": wish.model, "max_tokens": wish.max_tokens}
    data = request(client, **body, **({"stream": True} if wish.stream else {}))
    began = time.monotonic()
    told = Told(caller.key_id, began, began)
    try:
        async with asyncio.timeout(None if wish.leaves_s is None else wish.leaves_s * dice.random()):
            heard = await ask(client, data)
    except TimeoutError:
        told.left = True
    else:
        _note(told, heard)
    told.ended = time.monotonic()
    return told


def _note(told: Told, heard: Heard) -> None:
    told.refused = heard.refused
    told.status, told.whole, told.request_id = heard.status, heard.whole, heard.request_id
    told.retry_after = b"retry-after:" in heard.head.lower()
    if heard.status >= 400 and heard.whole:
        told.code, told.why = heard.code, heard.error["message"]
    if told.served:
        told.charged = _charge(heard)


def _charge(heard: Heard) -> int | None:
    if b"event-stream" not in heard.head:
        return parse_amount(json.loads(heard.body)["metadata"]["billing"]["credits_used"])
    for line in heard.body.split(b"\n"):
        if line.startswith(b"data: {") and b'"metadata"' in line:
            billing = json.loads(line[6:]).get("metadata", {}).get("billing")
            if billing is not None:
                return parse_amount(billing["credits_used"])
    return None

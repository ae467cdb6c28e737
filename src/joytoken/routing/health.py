"""The health of each deployment: a circuit breaker, and a moving average of the time to the first byte.

    closed ──5 failures in a row, or half of 20 and more in 30 s──▶ open ──15 s, doubling to 4 min──▶ half-open
       ▲                                                              ▲                                  │
       └──────────────────── the probe succeeded ─────────────────────┼──────────────────────────────────┤
                                                                      └───── the probe failed ───────────┘

A caller that hangs up says nothing about the provider, and neither does a request that the provider rightly refused.
One instance per worker, used from its event loop alone. The clock is handed in: monotonic seconds.
"""

from collections.abc import Callable
from typing import Final, Literal

from joytoken.routing.options import RoutingOptions

State = Literal["closed", "open", "half_open"]
SLOTS: Final = 10  # parts of the window, so that it slides without remembering each call
# What a provider answers when the fault is the account, its limits or a timeout on its side; the rest below 500 is
# the caller's own making.
_FAULTS: Final = frozenset({401, 402, 403, 407, 408, 429})
_FIRST_ERROR: Final = 400
_FIRST_SERVER_ERROR: Final = 500
_NEVER: Final = float("inf")


def is_fault(kind: int | str) -> bool:
    """Whether an outcome counts against the deployment: an HTTP status, or the name of a transport fault."""
    if isinstance(kind, str):
        return True
    return kind >= _FIRST_SERVER_ERROR or kind in _FAULTS or 0 <= kind < _FIRST_ERROR


class _Circuit:
    """One deployment's counters."""

    __slots__ = (
        "calls",
        "due",
        "ewma_ms",
        "failed",
        "open_ms",
        "probing",
        "published_ms",
        "row",
        "slot",
        "state",
        "steady_from_ms",
        "steady_to_ms",
    )

    def __init__(self) -> None:
        self.state: State = "closed"
        self.row = 0  # failures since the last success
        self.calls = [0] * SLOTS
        self.failed = [0] * SLOTS
        self.slot = 0  # number of the newest slot since the clock's zero
        self.open_ms = 0
        self.due = _NEVER  # when open: time of the probe; while probing: time at which the probe counts as lost
        self.probing = False
        self.ewma_ms: float | None = None
        self.published_ms: float | None = None  # what the scores see, while the average stays between …
        self.steady_from_ms, self.steady_to_ms = _NEVER, -_NEVER

    def count(self, slot: int, failed: int) -> None:
        if slot != self.slot:
            for stale in range(max(self.slot + 1, slot - SLOTS + 1), slot + 1):
                self.calls[stale % SLOTS] = self.failed[stale % SLOTS] = 0
            self.slot = slot
        self.calls[slot % SLOTS] += 1
        self.failed[slot % SLOTS] += failed

    def forget(self) -> None:
        self.row = 0
        self.calls = [0] * SLOTS
        self.failed = [0] * SLOTS


class Health:
    """Outcomes in, usable or not out. `version` rises whenever plans made before may be wrong."""

    def __init__(self, options: RoutingOptions, clock: Callable[[], float]) -> None:
        self._options = options
        self._clock = clock
        self._slot_s = options.breaker_window_ms / 1000 / SLOTS
        self._circuits: dict[str, _Circuit] = {}
        self._due = _NEVER  # the earliest `due` of all circuits
        self.version = 0
        self.barred: set[str] = set()  # deployments that plans avoid: open, or with a probe under way
        self.waiting: set[str] = set()  # half-open and without a probe: the next call of them is it

    def tick(self) -> int:
        """Let circuits whose pause is over take a probe; returns the version. Call before reading anything."""
        if self._due != _NEVER and self._clock() >= self._due:
            self._wake(self._clock())
        return self.version

    def usable(self, deployment_id: str) -> bool:
        """Whether a plan may put this deployment first."""
        return deployment_id not in self.barred

    def state(self, deployment_id: str) -> State:
        """The state of a deployment's circuit now; closed where nothing is known."""
        self.tick()
        circuit = self._circuits.get(deployment_id)
        return circuit.state if circuit else "closed"

    def latency_ms(self, deployment_id: str) -> float | None:
        """The average time to the first byte as the scores see it, or None where none was measured."""
        circuit = self._circuits.get(deployment_id)
        return circuit.published_ms if circuit else None

    def claim(self, deployment_id: str) -> None:
        """Make the call that is about to happen the probe of a waiting deployment, so that all others keep away.

        Whoever calls reports an outcome (`succeeded`, `failed`, `abandoned`). Where none comes within the length of
        the last pause, the probe counts as lost, and the deployment waits for another.
        """
        if deployment_id in self.waiting:
            circuit = self._circuits[deployment_id]
            circuit.probing = True
            self.waiting.discard(deployment_id)
            self._bar(deployment_id, circuit, self._clock() + circuit.open_ms / 1000)

    def succeeded(self, deployment_id: str, first_byte_ms: float | None = None) -> None:
        """The deployment answered; the time to its first byte in milliseconds where it was measured."""
        circuit = self._circuits.get(deployment_id)
        if circuit is None:
            circuit = self._circuits[deployment_id] = _Circuit()
        circuit.row = 0
        slot = int(self._clock() / self._slot_s)
        if slot == circuit.slot:
            circuit.calls[slot % SLOTS] += 1
        else:
            circuit.count(slot, 0)
        if circuit.state != "closed":
            self._close(deployment_id, circuit)
        if first_byte_ms is not None:
            self._measure(circuit, first_byte_ms)

    def failed(self, deployment_id: str, kind: int | str) -> None:
        """The deployment failed with this HTTP status or transport fault; the caller's own errors are not counted."""
        if not is_fault(kind):
            self.abandoned(deployment_id)
            return
        circuit = self._circuits.get(deployment_id)
        if circuit is None:
            circuit = self._circuits[deployment_id] = _Circuit()
        now = self._clock()
        circuit.row += 1
        circuit.count(int(now / self._slot_s), 1)
        if circuit.state == "closed":
            if self._broken(circuit):
                self._open(deployment_id, circuit, now, self._options.breaker_open_ms)
        elif circuit.state == "half_open":
            self._open(deployment_id, circuit, now, min(circuit.open_ms * 2, self._options.breaker_open_ms_max))

    def abandoned(self, deployment_id: str) -> None:
        """The call ended without telling anything about the deployment: its caller hung up, or asked nonsense."""
        circuit = self._circuits.get(deployment_id)
        if circuit is not None and circuit.probing:
            circuit.probing = False
            circuit.due = _NEVER
            self.waiting.add(deployment_id)
            self._unbar(deployment_id)

    def keep(self, deployment_ids: frozenset[str]) -> None:
        """Forget all deployments but these: those that are no longer in the catalog."""
        gone = [name for name in self._circuits if name not in deployment_ids]
        for name in gone:
            del self._circuits[name]
            self.barred.discard(name)
            self.waiting.discard(name)
        if gone:
            self._rearm()
            self.version += 1

    def _broken(self, circuit: _Circuit) -> bool:
        if circuit.row >= self._options.breaker_failures:
            return True
        calls, failed = sum(circuit.calls), sum(circuit.failed)
        return calls >= self._options.breaker_calls_min and failed * 100 >= calls * self._options.breaker_percent

    def _open(self, deployment_id: str, circuit: _Circuit, now: float, open_ms: int) -> None:
        circuit.state = "open"
        circuit.probing = False
        circuit.open_ms = open_ms
        self.waiting.discard(deployment_id)
        self._bar(deployment_id, circuit, now + open_ms / 1000)

    def _close(self, deployment_id: str, circuit: _Circuit) -> None:
        circuit.state = "closed"
        circuit.probing = False
        circuit.due = _NEVER
        circuit.forget()
        self.waiting.discard(deployment_id)
        self._unbar(deployment_id)

    def _wake(self, now: float) -> None:
        for name, circuit in self._circuits.items():
            if circuit.due <= now:  # the pause is over, or the probe was lost
                circuit.state = "half_open"
                circuit.probing = False
                circuit.due = _NEVER
                self.barred.discard(name)
                self.waiting.add(name)
        self._rearm()
        self.version += 1

    def _bar(self, deployment_id: str, circuit: _Circuit, due: float) -> None:
        circuit.due = due
        self.barred.add(deployment_id)
        self._rearm()
        self.version += 1

    def _unbar(self, deployment_id: str) -> None:
        self.barred.discard(deployment_id)
        self._rearm()
        self.version += 1

    def _rearm(self) -> None:
        self._due = min((c.due for c in self._circuits.values()), default=_NEVER)

    def _measure(self, circuit: _Circuit, first_byte_ms: float) -> None:
        old = circuit.ewma_ms
        new = first_byte_ms if old is None else old + (first_byte_ms - old) * self._options.latency_alpha
        circuit.ewma_ms = new
        if not circuit.steady_from_ms <= new <= circuit.steady_to_ms:
            options = self._options
            still = max(new * options.latency_shift_percent / 100, options.latency_shift_ms_min)
            circuit.steady_from_ms, circuit.steady_to_ms = new - still, new + still
            circuit.published_ms = new
            self.version += 1

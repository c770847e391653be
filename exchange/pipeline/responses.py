"""Order response coordination: a synchronous answer out of an asynchronous pipeline.

One Future per request, owned here, awaited by the one who asked, resolved with a 504 when its time is over.
Stages move a request on and resolve it; nobody else keeps track of who waits for what.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from enum import IntEnum, StrEnum
from itertools import takewhile

import msgspec

from exchange.base.bounds import KEPT_RESPONSES, TIMER_TICK_S
from exchange.base.clock import Clock
from exchange.config import CoordinationConfig
from exchange.log import Logger
from exchange.metrics import Metrics
from exchange.model.answers import Answer
from exchange.model.reasons import Category, Code, Refusal


class ResponseStatus(StrEnum):
    """Lifecycle of a request."""

    PENDING = "pending"
    VALIDATING = "validating"
    MATCHING = "matching"
    SETTLING = "settling"
    COMPLETED = "completed"
    TIMEOUT = "timeout"
    ERROR = "error"


class Wait(IntEnum):
    """Which stage answers; ``?wait=`` of the API."""

    VALIDATION = 0
    MATCHING = 1
    SETTLEMENT = 2


_OVERLOADED = Refusal(
    Category.UNAVAILABLE, Code.OVERLOADED, "too many requests wait for their answer", None, 100
)
_TEAM_OVERLOADED = Refusal(
    Category.UNAVAILABLE, Code.OVERLOADED, "too many requests of your team wait for their answer", None, 100
)
_STUCK_IN = {
    ResponseStatus.PENDING: "queue",
    ResponseStatus.VALIDATING: "validation",
    ResponseStatus.MATCHING: "matching",
    ResponseStatus.SETTLING: "settlement",
}


class PendingRequest(msgspec.Struct, eq=False, gc=False):
    """One request under way. Times are monotonic nanoseconds; 0 means not reached.

    ``sequence`` is that of its command once admitted, ``durable`` says that the journal has it. ``future`` is
    there while somebody waits.
    """

    request_id: str
    account: int
    wait: Wait
    registered_ns: int
    registered_us: int
    deadline_ns: int
    status: ResponseStatus = ResponseStatus.PENDING
    order_id: int | None = None
    sequence: int | None = None
    durable: bool = False
    answer: Answer | None = None
    future: asyncio.Future[Answer] | None = None
    validated_ns: int = 0
    written_ns: int = 0
    matched_ns: int = 0
    finished_ns: int = 0


class ResponseStatistics(msgspec.Struct, frozen=True):
    """Counts since the start, and what is held now."""

    pending: int
    kept: int
    registered: int
    completed: int
    refused: int
    timed_out: int
    overloaded: int
    expired: int


class OrderResponseService:
    """Registration, coordination, timeouts and clean-up of requests; single event loop, no locks."""

    def __init__(self, config: CoordinationConfig, clock: Clock, log: Logger, metrics: Metrics) -> None:
        self._config = config
        self._clock = clock
        self._log = log
        self._seconds = metrics.request_seconds if config.enable_metrics else None
        self._timeout_ns = round(config.default_timeout_seconds * 1e9)
        self._per_team = config.max_pending_per_team
        self._pending: dict[int, PendingRequest] = {}
        self._pending_of: dict[int, int] = {}
        self._kept: OrderedDict[tuple[int, str], PendingRequest] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._registered = self._completed = self._refused = 0
        self._timed_out = self._overloaded = self._expired = 0

    def register(self, request_id: str, account: int, wait: Wait) -> PendingRequest | Refusal:
        """A place for the answer, or 503 when too many wait already, of all teams or of this one."""
        of_team = self._pending_of.get(account, 0)
        if len(self._pending) >= self._config.max_pending_requests or of_team >= self._per_team:
            self._overloaded += 1
            return _TEAM_OVERLOADED if of_team >= self._per_team else _OVERLOADED
        now_ns = self._clock.monotonic_ns()
        pending = PendingRequest(
            request_id, account, wait, now_ns, self._clock.now_us(), now_ns + self._timeout_ns
        )
        self._pending[id(pending)] = pending
        self._pending_of[account] = of_team + 1
        self._registered += 1
        return pending

    def wait_for_completion(self, pending: PendingRequest) -> asyncio.Future[Answer]:
        """To be awaited: the answer, or 504 naming the stage where the request is stuck.

        Not ``wait_for``: how many turns of the loop that takes differs between versions of Python, and with
        it whether the answer comes before the events of the same order.
        """
        if pending.answer is not None:
            return answered(pending.answer)
        # Asked for once: before Python 3.12 it costs a system call.
        loop = self._loop = self._loop or asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        pending.future = future
        if self._timer is None:
            self._watch(pending.deadline_ns)
        return future

    def has_expired(self, pending: PendingRequest) -> bool:
        """Whether nobody waits any more; a command not yet sequenced is dropped then."""
        if pending.status is ResponseStatus.TIMEOUT:
            return True
        if self._clock.monotonic_ns() < pending.deadline_ns:
            return False
        self._expired += 1
        return True

    def complete(self, pending: PendingRequest, answer: Answer) -> None:
        """Resolve a request; the first answer stands, later ones are for the record only."""
        if pending.answer is not None or pending.status is ResponseStatus.TIMEOUT:
            return
        pending.answer = answer
        pending.finished_ns = self._clock.monotonic_ns()
        if type(answer) is Refusal:
            self._refused += 1
            failed = answer.category is Category.INTERNAL
            pending.status = ResponseStatus.ERROR if failed else ResponseStatus.COMPLETED
        else:
            pending.status = ResponseStatus.COMPLETED
        self._completed += 1
        self._retire(pending)
        _resolve(pending, answer)

    def status_of(self, account: int, request_id: str) -> PendingRequest | None:
        """The request of that team, under way or among the last answered; the newest of that id."""
        kept = self._kept.get((account, request_id))
        under_way = [p for p in self._pending.values() if p.account == account and p.request_id == request_id]
        return under_way[-1] if under_way else kept

    def clean_up(self) -> int:
        """Answer 504 for every request whose time is over, awaited or not; the number of them."""
        now_ns = self._clock.monotonic_ns()
        late = list(takewhile(lambda pending: pending.deadline_ns <= now_ns, self._pending.values()))
        for pending in late:
            self._time_out(pending)
        return len(late)

    def statistics(self) -> ResponseStatistics:
        """For metrics and for ``/admin/status``."""
        return ResponseStatistics(
            pending=len(self._pending),
            kept=len(self._kept),
            registered=self._registered,
            completed=self._completed,
            refused=self._refused,
            timed_out=self._timed_out,
            overloaded=self._overloaded,
            expired=self._expired,
        )

    def _watch(self, deadline_ns: int) -> None:
        """One timer serves all: they wait equally long, so deadlines come in the order of registration."""
        left_s = (deadline_ns - self._clock.monotonic_ns()) / 1e9
        self._timer = asyncio.get_running_loop().call_later(max(left_s, TIMER_TICK_S), self._look)

    def _look(self) -> None:
        self._timer = None
        self.clean_up()
        oldest = next(iter(self._pending.values()), None)
        if oldest is not None:
            self._watch(oldest.deadline_ns)

    def _time_out(self, pending: PendingRequest) -> None:
        stage = _STUCK_IN.get(pending.status, "settlement")
        refusal = _timeout_refusal(stage, pending)
        pending.answer = refusal
        pending.status = ResponseStatus.TIMEOUT
        pending.finished_ns = self._clock.monotonic_ns()
        self._timed_out += 1
        self._log.warning("request timed out", request_id=pending.request_id, stage=stage)
        self._retire(pending)
        _resolve(pending, refusal)

    def _retire(self, pending: PendingRequest) -> None:
        if self._pending.pop(id(pending), None) is not None:
            self._pending_of[pending.account] -= 1
        if self._seconds is not None:
            self._seconds.observe((pending.finished_ns - pending.registered_ns) / 1e9)
        kept = self._kept
        kept[pending.account, pending.request_id] = pending
        if len(kept) > KEPT_RESPONSES:
            kept.popitem(last=False)
        if self._config.enable_detailed_logging:
            self._log.info(
                "request finished",
                request_id=pending.request_id,
                account=pending.account,
                status=pending.status.value,
                order_id=pending.order_id,
                processing_time_us=(pending.finished_ns - pending.registered_ns) // 1000,
            )


def answered(answer: Answer) -> asyncio.Future[Answer]:
    """The future of a request whose answer is known."""
    future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
    future.set_result(answer)
    return future


def _resolve(pending: PendingRequest, answer: Answer) -> None:
    future, pending.future = pending.future, None
    if future is not None and not future.done():
        future.set_result(answer)


def _timeout_refusal(stage: str, pending: PendingRequest) -> Refusal:
    """``accepted`` is left out while the journal writes: nobody can know before it has answered."""
    details: dict[str, object] = {"stage": stage}
    if pending.durable:
        details["accepted"] = True
        if pending.order_id is not None:
            details["order_number"] = pending.order_id
    elif pending.sequence is None:
        details["accepted"] = False
    return Refusal(Category.TIMEOUT, Code.RESPONSE_TIMEOUT, f"no answer in time, stuck in {stage}", details)

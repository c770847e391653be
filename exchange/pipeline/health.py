"""Whether commands are taken at all."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from exchange.model.reasons import Category, Code, Refusal


class State(Enum):
    """Of the server, not of the market."""

    STARTING = "starting"
    RUNNING = "running"
    DRAINING = "draining"
    HALTED = "halted"
    """By failure: match or settle raised, half-applied state must not trade. Reads are marked stale."""
    FAILED = "failed"
    """The journal failed: nothing may be acknowledged any more; the server is stopping."""


_REFUSALS = {
    State.STARTING: Refusal(Category.UNAVAILABLE, Code.OVERLOADED, "the exchange is starting", None, 500),
    State.DRAINING: Refusal(Category.UNAVAILABLE, Code.SHUTTING_DOWN, "the exchange is shutting down"),
    State.HALTED: Refusal(Category.UNAVAILABLE, Code.VENUE_HALTED, "the venue is halted by a failure"),
    State.FAILED: Refusal(Category.UNAVAILABLE, Code.JOURNAL_FAILED, "the journal failed, nothing is taken"),
}


def failed_refusal() -> Refusal:
    """For a command whose write failed: whether it survived is known only after the next start."""
    return _REFUSALS[State.FAILED]


def halted_refusal(order_number: int | None) -> Refusal:
    """For a command that is durable but met a halted venue: the next start will apply it."""
    details: dict[str, object] = {"accepted": True}
    if order_number is not None:
        details["order_number"] = order_number
    return Refusal(Category.UNAVAILABLE, Code.VENUE_HALTED, "the venue is halted by a failure", details)


class Health:
    """One state; a worse one is never left for a better one. ``listener`` hears of every move."""

    def __init__(self, listener: Callable[[State], None] = lambda state: None) -> None:
        self._state = State.STARTING
        self._refusal: Refusal | None = _REFUSALS[State.STARTING]
        self._listener = listener
        self.cause: str | None = None
        self.is_stale = False
        """Whether what is read may be half-applied. Kept, because every stage asks it of every command."""

    @property
    def state(self) -> State:
        return self._state

    def refusal(self) -> Refusal | None:
        """What a command is answered now, None while they are taken."""
        return self._refusal

    def refusal_in_flight(self) -> Refusal | None:
        """What a command already taken is answered: draining finishes it, a failure does not."""
        return self._refusal if self.is_stale else None

    def run(self) -> None:
        """Start up is over."""
        if self._state is State.STARTING:
            self._move(State.RUNNING, None)

    def drain(self) -> None:
        """Take nothing new; what was taken is finished."""
        if not self.is_stale:
            self._move(State.DRAINING, self.cause)

    def halt(self, cause: str) -> None:
        """Match or settle failed."""
        if self._state is not State.FAILED:
            self._move(State.HALTED, cause)

    def fail(self, cause: str) -> None:
        """The journal failed."""
        self._move(State.FAILED, cause)

    def _move(self, state: State, cause: str | None) -> None:
        self._state = state
        self._refusal = _REFUSALS.get(state)
        self.is_stale = state in (State.HALTED, State.FAILED)
        self.cause = cause
        self._listener(state)

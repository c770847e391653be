"""Health: what is answered in each state, and which moves are possible."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from exchange.model.reasons import Category, Code
from exchange.pipeline.health import Health, State, failed_refusal, halted_refusal

MOVES: dict[str, Callable[[Health], None]] = {
    "run": lambda health: health.run(),
    "drain": lambda health: health.drain(),
    "halt": lambda health: health.halt("a bug"),
    "fail": lambda health: health.fail("no disk"),
}
TABLE = {
    (State.STARTING, "run"): State.RUNNING,
    (State.STARTING, "drain"): State.DRAINING,
    (State.STARTING, "halt"): State.HALTED,
    (State.STARTING, "fail"): State.FAILED,
    (State.RUNNING, "run"): State.RUNNING,
    (State.RUNNING, "drain"): State.DRAINING,
    (State.RUNNING, "halt"): State.HALTED,
    (State.RUNNING, "fail"): State.FAILED,
    (State.DRAINING, "run"): State.DRAINING,
    (State.DRAINING, "drain"): State.DRAINING,
    (State.DRAINING, "halt"): State.HALTED,
    (State.DRAINING, "fail"): State.FAILED,
    (State.HALTED, "run"): State.HALTED,
    (State.HALTED, "drain"): State.HALTED,
    (State.HALTED, "halt"): State.HALTED,
    (State.HALTED, "fail"): State.FAILED,
    (State.FAILED, "run"): State.FAILED,
    (State.FAILED, "drain"): State.FAILED,
    (State.FAILED, "halt"): State.FAILED,
    (State.FAILED, "fail"): State.FAILED,
}
WAYS = {State.RUNNING: "run", State.DRAINING: "drain", State.HALTED: "halt", State.FAILED: "fail"}


def _in(state: State) -> Health:
    health = Health()
    if state is not State.STARTING:
        MOVES[WAYS[state]](health)
    return health


def test_health_table_is_complete() -> None:
    """Every move from every state is decided."""
    assert set(TABLE) == set(itertools.product(State, MOVES))


@pytest.mark.parametrize(("state", "move"), TABLE)
def test_health_moves_as_the_table_says(state: State, move: str) -> None:
    """A worse state is never left for a better one."""
    health = _in(state)
    MOVES[move](health)
    assert health.state is TABLE[state, move]


@pytest.mark.parametrize(
    ("state", "code", "in_flight", "stale"),
    [
        (State.STARTING, Code.OVERLOADED, None, False),
        (State.RUNNING, None, None, False),
        (State.DRAINING, Code.SHUTTING_DOWN, None, False),
        (State.HALTED, Code.VENUE_HALTED, Code.VENUE_HALTED, True),
        (State.FAILED, Code.JOURNAL_FAILED, Code.JOURNAL_FAILED, True),
    ],
)
def test_health_answers_new_commands_and_those_under_way(
    state: State, code: Code | None, in_flight: Code | None, stale: bool
) -> None:
    """Draining finishes what was taken; a failure does not, and marks what is read."""
    health = _in(state)
    new, taken = health.refusal(), health.refusal_in_flight()
    assert (new and new.code, taken and taken.code, health.is_stale) == (code, in_flight, stale)
    assert new is None or new.category is Category.UNAVAILABLE


def test_health_tells_its_listener_and_keeps_the_cause() -> None:
    """Every move is heard; the cause is that of the worst that happened."""
    heard: list[State] = []
    health = Health(heard.append)
    health.run()
    health.halt("a bug")
    health.drain()
    assert heard == [State.RUNNING, State.HALTED]
    assert health.cause == "a bug"
    health.fail("no disk")
    assert (heard[-1], health.cause) == (State.FAILED, "no disk")


def test_health_refusal_of_a_durable_command_says_that_it_is_accepted() -> None:
    """Halted after the journal has it: it will take effect. After a failed write nobody knows."""
    assert halted_refusal(7).details == {"accepted": True, "order_number": 7}
    assert halted_refusal(None).details == {"accepted": True}
    assert failed_refusal().details is None

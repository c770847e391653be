"""Marks in half-ticks and what a position is worth at one."""

from __future__ import annotations

import pytest

from exchange.model.types import Side
from exchange.services.positions.ledger import Ledger, Position
from exchange.services.positions.pnl import account_pnl, mark_half_ticks, position_pnl
from tests.support.settling import instrument


@pytest.mark.parametrize(
    ("bid", "ask", "mark"),
    [
        (100, 101, 201),
        (95, 105, 200),  # exactly 10 % of the mid
        (95, 106, 180),  # 11 of 100.5
        (100, 100, 200),
        (101, 100, 180),  # crossed, in a call
        (None, 101, 180),
        (100, None, 180),
        (None, None, 180),
    ],
)
def test_mark_is_the_mid_of_a_narrow_book(bid: int | None, ask: int | None, mark: int) -> None:
    """Two-sided and no wider than 10 % of the mid, else the last price (90): in half-ticks."""
    assert mark_half_ticks(bid, ask, 90) == mark


def test_mark_width_is_a_parameter() -> None:
    """A game may allow other widths."""
    assert mark_half_ticks(95, 105, 90, max_spread_ppm=99_999) == 180


@pytest.mark.parametrize(
    ("line", "half_ticks", "value", "unrealised"),
    [
        (Position(10, 1_000, 7), 221, 1_105, 105),
        (Position(-10, -1_000, 7), 221, -1_105, -105),
        (Position(3, 300, 0), 201, 301, 1),  # 301.5: the half is dropped
        (Position(-3, -300, 0), -201, 301, 601),
        (Position(-3, -300, 0), 201, -301, -1),
        (Position(0, 0, 7), 221, 0, 0),
    ],
)
def test_position_pnl_is_alike_for_long_and_short(
    line: Position, half_ticks: int, value: int, unrealised: int
) -> None:
    """Unrealised is value less cost; an odd half of a money unit is dropped towards zero."""
    valued = position_pnl(line, half_ticks, 1)
    assert (valued.value, valued.unrealised_pnl) == (value, unrealised)
    assert (valued.realised_pnl, valued.cost, valued.position) == (
        line.realised_pnl,
        line.cost,
        line.position,
    )


def test_account_pnl_adds_up() -> None:
    """Equity = cash + fees + value, and cash + value = realised + unrealised."""
    ledger = Ledger([instrument("X"), instrument("Y", "0.005", 1)])
    ledger.book(1, "X", Side.BUY, 10, 100, -2_000)
    ledger.book(1, "X", Side.SELL, 4, 110, 400)
    ledger.book(1, "Y", Side.SELL, 5, 20, -50)
    pnl = account_pnl(ledger, 1, {"X": 211, "Y": 30}.__getitem__)
    assert (pnl.realised_pnl, pnl.fees) == (400_000, -1_650)
    assert pnl.value == 6 * 211 * 10_000 // 2 - 5 * 30 * 50 // 2
    assert pnl.unrealised_pnl == (6 * 211 // 2 - 600) * 10_000 + (100 - 75) * 50
    assert pnl.cash + pnl.value == pnl.realised_pnl + pnl.unrealised_pnl
    assert pnl.equity == pnl.cash + pnl.fees + pnl.value
    assert list(pnl.positions) == ["X", "Y"]

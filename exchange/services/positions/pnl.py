"""Profit and loss at a mark, computed when it is asked for.

A mark is in half-ticks, because the middle of a book can lie between two ticks: nothing here is a float.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from exchange.services.positions.ledger import Ledger, Position


class PositionPnl(msgspec.Struct, frozen=True, gc=False):
    """One line at a mark; ``cost`` as in the ledger. All but ``position`` and the mark are money."""

    position: int
    cost: int
    mark_half_ticks: int
    value: int
    realised_pnl: int
    unrealised_pnl: int


class AccountPnl(msgspec.Struct, frozen=True):
    """``equity`` = cash + fees + value; cash + value = realised + unrealised."""

    positions: dict[str, PositionPnl]
    cash: int
    fees: int
    value: int
    realised_pnl: int
    unrealised_pnl: int
    equity: int


def mark_half_ticks(
    bid_ticks: int | None, ask_ticks: int | None, last_ticks: int, max_spread_ppm: int = 100_000
) -> int:
    """Mid of a book that is two-sided, not crossed and at most ``max_spread_ppm`` wide, else ``last_ticks``.

    ``last_ticks`` is the last trade's price, before any the reference.
    """
    if bid_ticks is None or ask_ticks is None or bid_ticks > ask_ticks:
        return 2 * last_ticks
    wide = 2_000_000 * (ask_ticks - bid_ticks) > max_spread_ppm * (bid_ticks + ask_ticks)
    return 2 * last_ticks if wide else bid_ticks + ask_ticks


def position_pnl(line: Position, half_ticks: int, tick_value: int) -> PositionPnl:
    """Value ``line`` at a mark; an odd half of 1/10,000 is dropped, alike for long and short."""
    doubled = line.position * half_ticks * tick_value
    value = doubled // 2 if doubled >= 0 else -(-doubled // 2)
    return PositionPnl(line.position, line.cost, half_ticks, value, line.realised_pnl, value - line.cost)


def account_pnl(ledger: Ledger, account: int, mark_of: Callable[[str], int]) -> AccountPnl:
    """Value every line of ``account``; ``mark_of`` gives an instrument's mark in half-ticks."""
    lines = {
        each: position_pnl(line, mark_of(each), ledger.tick_value(each))
        for each, line in ledger.positions(account).items()
    }
    cash, fees = ledger.cash(account), ledger.fees(account)
    value = sum(line.value for line in lines.values())
    realised = sum(line.realised_pnl for line in lines.values())
    unrealised = sum(line.unrealised_pnl for line in lines.values())
    return AccountPnl(lines, cash, fees, value, realised, unrealised, cash + fees + value)

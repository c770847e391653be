"""The ledger: what every fill did to positions, cost, realised P&L, cash and fees.

Money is in 1/10,000 of the currency and signed: received is positive, paid is negative. ``cost`` alone has
the sign of the position it belongs to, so that cost / position is the average price. Over the lines of an
account, cash == sum of realised P&L - sum of cost.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from exchange.model.commands import HOUSE_ACCOUNT
from exchange.model.events import PositionUpdate
from exchange.model.instrument import Instrument
from exchange.model.types import Side

_BUY = Side.BUY


class Position(msgspec.Struct, array_like=True, gc=False):
    """Net lots of one account in one instrument at average cost. Changed by the ledger alone."""

    position: int = 0
    cost: int = 0
    realised_pnl: int = 0


class AccountBooks(msgspec.Struct, array_like=True):
    """Lines by instrument, and the money of the whole account."""

    positions: dict[str, Position] = {}
    cash: int = 0
    fees: int = 0


LedgerSnapshot: TypeAlias = dict[int, AccountBooks]


class Ledger:
    """Books of every account; the house's fees are minus those of all the others."""

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self._tick_values = {each.instrument_id: each.tick_value for each in instruments}
        self._house = AccountBooks()
        self._accounts: dict[int, AccountBooks] = {HOUSE_ACCOUNT: self._house}

    def book(
        self, account: int, instrument_id: str, side: Side, quantity: int, price_ticks: int, fees: int
    ) -> None:
        """Book one side of a trade: ``fees`` are those of this account, signed, and leave its cash alone."""
        assert quantity > 0
        books = self._accounts.get(account)
        if books is None:
            books = self._accounts[account] = AccountBooks()
        line = books.positions.get(instrument_id)
        if line is None:
            line = books.positions[instrument_id] = Position()
        lots = quantity if side is _BUY else -quantity
        lot_value = price_ticks * self._tick_values[instrument_id]
        if line.position * lots < 0:
            _close(line, lots, lot_value)
        else:
            line.position += lots
            line.cost += lots * lot_value
        books.cash -= lots * lot_value
        books.fees += fees
        self._house.fees -= fees

    def position_update(
        self, account: int, seq: int, timestamp_us: int, instrument_id: str
    ) -> PositionUpdate:
        """What ``account`` is told after a fill in ``instrument_id``."""
        books = self._accounts[account]
        line = books.positions[instrument_id]
        return PositionUpdate(
            account,
            seq,
            timestamp_us,
            instrument_id,
            line.position,
            line.cost,
            line.realised_pnl,
            books.cash,
            books.fees,
        )

    def positions(self, account: int) -> dict[str, Position]:
        """Lines by instrument, those that are flat again included: to read, not to change."""
        books = self._accounts.get(account)
        return {} if books is None else dict(sorted(books.positions.items()))

    def cash(self, account: int) -> int:
        """Money received less money paid for lots, without fees."""
        books = self._accounts.get(account)
        return 0 if books is None else books.cash

    def fees(self, account: int) -> int:
        """Fees and rebates; those of the house are minus everybody else's."""
        books = self._accounts.get(account)
        return 0 if books is None else books.fees

    def accounts(self) -> list[int]:
        """Accounts that have traded, and the house, in order."""
        return sorted(self._accounts)

    def tick_value(self, instrument_id: str) -> int:
        """Money that one lot gains when the price rises by one tick."""
        return self._tick_values[instrument_id]

    def state(self) -> object:
        """Canonical content for the state hash: encode it before the next command, it is not a copy."""
        return [
            [account, books.cash, books.fees, sorted(books.positions.items())]
            for account, books in sorted(self._accounts.items())
        ]

    def snapshot(self) -> LedgerSnapshot:
        """Everything, to be encoded before the next command: it is not a copy."""
        return self._accounts

    def load(self, snapshot: LedgerSnapshot) -> None:
        """Take over a snapshot."""
        self._accounts = snapshot
        self._house = snapshot[HOUSE_ACCOUNT]


def _close(line: Position, lots: int, lot_value: int) -> None:
    """Close as much as ``lots`` closes, open with what is left of them beyond zero."""
    held, cost = line.position, line.cost
    if abs(lots) < abs(held):
        closed = -lots
        released = _share(cost, closed, held)
    else:
        closed = held
        released = cost
    # ``closed`` has the sign of what was held: a long gains what it is sold for, a short pays it.
    line.realised_pnl += closed * lot_value - released
    line.position = held + lots
    line.cost = cost - released + (lots + closed) * lot_value


def _share(cost: int, closed: int, held: int) -> int:
    # Rounded towards zero, so that a short is the exact mirror of a long: // alone rounds down.
    share = abs(cost) * abs(closed) // abs(held)
    return share if cost >= 0 else -share

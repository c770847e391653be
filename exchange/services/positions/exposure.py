"""Exposure: what each team holds and what its open orders could make of it.

Open lots of a side are the remaining lots of every live order, in flight or at rest, and what amends in
flight have reserved: never less than what could still become position. All quantities are lots.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

from exchange.model.commands import OrderTerms
from exchange.model.types import Side

_BUY = Side.BUY


class ExposureLine(msgspec.Struct, array_like=True, gc=False):
    """One instrument of one account."""

    position: int = 0
    open_buys: int = 0
    open_sells: int = 0
    resting_buys: int = 0
    resting_sells: int = 0
    exposure: int = 0
    reducing_buys: int = 0
    reducing_sells: int = 0
    stops: int = 0


class AccountExposure(msgspec.Struct, array_like=True):
    """All instruments of one account, and their sums."""

    lines: dict[str, ExposureLine] = {}
    total_position: int = 0
    total_exposure: int = 0


ExposureSnapshot: TypeAlias = dict[int, AccountExposure]

_NOBODY: Final = AccountExposure()
_NOTHING: Final = ExposureLine()


class Exposure:
    """Positions and reservations. Validate reserves, settle converts and releases; nothing goes negative."""

    def __init__(self) -> None:
        self._accounts: dict[int, AccountExposure] = {}
        self.reduce_only_orders = 0
        """Live ones of all accounts: while there are none, nobody's orders need be looked at for them."""

    # --- what validate does ---------------------------------------------------------------------

    def reserve(
        self,
        account: int,
        instrument_id: str,
        side: Side,
        quantity: int,
        can_rest: bool,
        terms: OrderTerms | None = None,
    ) -> None:
        """A new order of ``quantity`` lots."""
        assert quantity > 0
        owner = self._accounts.get(account)
        if owner is None:
            owner = self._accounts[account] = AccountExposure()
        line = owner.lines.get(instrument_id)
        if line is None:
            line = owner.lines[instrument_id] = ExposureLine()
        if side is _BUY:
            line.open_buys += quantity
            line.resting_buys += can_rest
        else:
            line.open_sells += quantity
            line.resting_sells += can_rest
        if terms is not None:
            self._count(line, side, terms, 1)
        _recount(owner, line)

    def reserve_more(self, account: int, instrument_id: str, side: Side, quantity: int) -> None:
        """An amend in flight may add ``quantity`` lots to its order."""
        assert quantity >= 0
        owner = self._accounts[account]
        line = owner.lines[instrument_id]
        if side is _BUY:
            line.open_buys += quantity
        else:
            line.open_sells += quantity
        _recount(owner, line)

    # --- what settle does -----------------------------------------------------------------------

    def release(self, account: int, instrument_id: str, side: Side, quantity: int) -> None:
        """Lots that can't become position any more: cancelled, amended away, or reserved for nothing."""
        owner = self._accounts[account]
        line = owner.lines[instrument_id]
        if side is _BUY:
            assert 0 <= quantity <= line.open_buys
            line.open_buys -= quantity
        else:
            assert 0 <= quantity <= line.open_sells
            line.open_sells -= quantity
        _recount(owner, line)

    def convert(self, account: int, instrument_id: str, side: Side, quantity: int) -> None:
        """A fill: ``quantity`` open lots of that side become position."""
        owner = self._accounts[account]
        line = owner.lines[instrument_id]
        before = line.position
        if side is _BUY:
            assert 0 < quantity <= line.open_buys
            line.open_buys -= quantity
            line.position = after = before + quantity
        else:
            assert 0 < quantity <= line.open_sells
            line.open_sells -= quantity
            line.position = after = before - quantity
        owner.total_position += abs(after) - abs(before)
        _recount(owner, line)

    def ended(
        self,
        account: int,
        instrument_id: str,
        side: Side,
        can_rest: bool,
        terms: OrderTerms | None = None,
    ) -> None:
        """An order finished; one that could rest no longer counts as resting."""
        if terms is not None:
            self._count(self._accounts[account].lines[instrument_id], side, terms, -1)
        if not can_rest:
            return
        line = self._accounts[account].lines[instrument_id]
        if side is _BUY:
            assert line.resting_buys > 0
            line.resting_buys -= 1
        else:
            assert line.resting_sells > 0
            line.resting_sells -= 1

    # --- what anyone may ask --------------------------------------------------------------------

    def position(self, account: int, instrument_id: str) -> int:
        """Net lots, settled."""
        return self._line(account, instrument_id).position

    def open_quantity(self, account: int, instrument_id: str, side: Side) -> int:
        """Open and in-flight lots on ``side``."""
        line = self._line(account, instrument_id)
        return line.open_buys if side is _BUY else line.open_sells

    def resting_orders(self, account: int, instrument_id: str, side: Side) -> int:
        """Orders on ``side``, open and in flight, that can rest."""
        line = self._line(account, instrument_id)
        return line.resting_buys if side is _BUY else line.resting_sells

    def reducing_orders(self, account: int, instrument_id: str, side: Side) -> int:
        """Reduce-only orders on ``side``, open and in flight."""
        line = self._line(account, instrument_id)
        return line.reducing_buys if side is _BUY else line.reducing_sells

    def stop_orders(self, account: int, instrument_id: str) -> int:
        """Stop orders, open and in flight, triggered or not."""
        return self._line(account, instrument_id).stops

    def total_position(self, account: int) -> int:
        """Sum of |position| over instruments."""
        return self._accounts.get(account, _NOBODY).total_position

    def total_exposure(self, account: int) -> int:
        """Sum over instruments of max(|position + open buys|, |position - open sells|)."""
        return self._accounts.get(account, _NOBODY).total_exposure

    def open_instruments(self, account: int) -> list[str]:
        """Instruments with a position or open lots, sorted."""
        lines = self._accounts.get(account, _NOBODY).lines
        return sorted(instrument_id for instrument_id, line in lines.items() if line != _NOTHING)

    def state(self) -> object:
        """Canonical content for the state hash: encode it before the next command, it is not a copy."""
        return [
            [account, [[each, self._accounts[account].lines[each]] for each in instruments]]
            for account in sorted(self._accounts)
            if (instruments := self.open_instruments(account))
        ]

    # --- snapshots ------------------------------------------------------------------------------

    def snapshot(self) -> ExposureSnapshot:
        """Everything, to be encoded before the next command: it is not a copy."""
        return self._accounts

    def load(self, snapshot: ExposureSnapshot) -> None:
        """Take over a snapshot."""
        self._accounts = snapshot
        lines = (line for account in snapshot.values() for line in account.lines.values())
        self.reduce_only_orders = sum(line.reducing_buys + line.reducing_sells for line in lines)

    def _count(self, line: ExposureLine, side: Side, terms: OrderTerms, change: int) -> None:
        if terms.stop_price_ticks is not None:
            line.stops += change
            assert line.stops >= 0
        if terms.reduce_only:
            self.reduce_only_orders += change
            if side is _BUY:
                line.reducing_buys += change
            else:
                line.reducing_sells += change
            assert line.reducing_buys >= 0 <= line.reducing_sells

    def _line(self, account: int, instrument_id: str) -> ExposureLine:
        return self._accounts.get(account, _NOBODY).lines.get(instrument_id, _NOTHING)


def _recount(owner: AccountExposure, line: ExposureLine) -> None:
    # max(|p + b|, |p - s|) without abs: open lots are not negative, so p + b >= p >= p - s.
    long = line.position + line.open_buys
    short = line.open_sells - line.position
    exposure = long if long > short else short
    owner.total_exposure += exposure - line.exposure
    line.exposure = exposure

"""The report stream: what the clients were told, one line each, and its SHA-256."""

from __future__ import annotations

import hashlib
from collections import Counter
from enum import IntEnum
from typing import Final

from exchange.model.types import Side


class Kind(IntEnum):
    """First column of a line."""

    ACKNOWLEDGED = 0
    TRADE = 1
    CANCELLED = 2
    AMENDED = 3
    CANCEL_REFUSED = 4
    AMEND_REFUSED = 5


_SIDES: Final = {Side.BUY: 0, Side.SELL: 1}


class ReportStream:
    """Lines in order of message, then kind. Prices are ticks, order ids those of the recording."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.counts: Counter[Kind] = Counter()

    def __len__(self) -> int:
        return len(self.lines)

    def acknowledged(self, seq: int, side: Side, order_id: str, price_ticks: int, quantity: int) -> None:
        """A new order is in, also one that is immediate-or-cancel."""
        self._add(Kind.ACKNOWLEDGED, seq, _SIDES[side], order_id, price_ticks, quantity)

    def traded(self, seq: int, price_ticks: int, quantity: int, maker_id: str, taker_id: str) -> None:
        """Two orders met; ``seq`` is the aggressor's message."""
        self._add(Kind.TRADE, seq, price_ticks, quantity, maker_id, taker_id)

    def cancelled(self, seq: int, side: Side, order_id: str, price_ticks: int) -> None:
        """An order ended, also the remainder of one that is immediate-or-cancel."""
        self._add(Kind.CANCELLED, seq, _SIDES[side], order_id, price_ticks)

    def amended(self, seq: int, side: Side, order_id: str, price_ticks: int, open_quantity: int) -> None:
        """After its trades; ``open_quantity`` is what was asked for."""
        self._add(Kind.AMENDED, seq, _SIDES[side], order_id, price_ticks, open_quantity)

    def refused(self, kind: Kind, seq: int, order_id: str) -> None:
        """A cancel or an amend of an order that was not resting."""
        self._add(kind, seq, order_id)

    def text(self) -> str:
        """The whole stream, without a newline at its end."""
        return "\n".join(self.lines)

    def sha256(self) -> str:
        """In lower-case hexadecimal."""
        return hashlib.sha256(self.text().encode("ascii")).hexdigest()

    def _add(self, kind: Kind, *columns: object) -> None:
        self.counts[kind] += 1
        self.lines.append(",".join((str(int(kind)), *map(str, columns))))

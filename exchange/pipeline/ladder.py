"""One side of a book by price, kept in order, and what a client that sees only the best of it must be told.

A level goes by its key: the price to buy, the negative price to sell, so that the greater key is the better.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Mapping
from typing import Final

from exchange.engine.depth import UNSHOWN, Level
from exchange.model.types import Side
from exchange.wire.checksum import level_digits

BOTTOM: Final = -(2**63)
"""Below every key: everything is in sight."""


class Ladder:
    """The levels of one side, beginning with ``lots`` at each price."""

    __slots__ = ("_digits", "_digits_floor", "_keys", "_lots", "_put", "_sign")

    def __init__(self, side: Side, lots: Mapping[int, int]) -> None:
        sign = self._sign = side.sign
        self._lots = {price * sign: left for price, left in lots.items() if price not in UNSHOWN}
        self._keys = sorted(self._lots)
        self._put: dict[int, int] = {}
        self._digits: dict[int, str] = {}
        self._digits_floor = BOTTOM

    def put(self, price_ticks: int, lots: int) -> None:
        """``lots`` rest at a price now; 0 for none."""
        key = price_ticks * self._sign
        before = self._lots.get(key, 0)
        self._put.setdefault(key, before)
        if key >= self._digits_floor:
            self._digits.clear()
        if lots:
            self._lots[key] = lots
            if not before:
                insort(self._keys, key)
        elif before:
            del self._lots[key]
            del self._keys[bisect_left(self._keys, key)]

    def take_changes(self) -> dict[int, int]:
        """Keys that differ from when this was last asked, with their lots then."""
        put, self._put = self._put, {}
        lots = self._lots
        return {key: before for key, before in put.items() if lots.get(key, 0) != before}

    def best(self, levels: int) -> list[Level]:
        """At most ``levels`` levels, best first."""
        sign, lots = self._sign, self._lots
        return [(key * sign, lots[key]) for key in self._keys[: -levels - 1 : -1]]

    def digits(self, levels: int, units: int) -> str:
        """The text of the best ``levels`` for a checksum; a tick is ``units`` of the last decimal."""
        text = self._digits.get(levels)
        if text is None:
            floor = self.floor(levels)
            self._digits_floor = min(floor, self._digits_floor) if self._digits else floor
            text = level_digits((price * units, lots) for price, lots in self.best(levels))
            self._digits[levels] = text
        return text

    def floor(self, levels: int) -> int:
        """The key of the last of the best ``levels``."""
        keys = self._keys
        return keys[-levels] if len(keys) > levels else BOTTOM

    def seen_changes(self, changes: Mapping[int, int], then: int, now: int) -> list[Level]:
        """What ``changes`` mean to who saw down to key ``then`` and is to see down to ``now``; 0 deletes."""
        sign, lots, keys = self._sign, self._lots, self._keys
        seen: list[Level] = []
        for key, before in changes.items():
            left = lots.get(key, 0)
            if left and key >= now:
                seen.append((key * sign, left))
            elif before and key >= then:
                seen.append((key * sign, 0))
        low, high = min(then, now), max(then, now)
        if low != high:
            # Levels that stayed as they were, and came into sight or fell out of it.
            moved = keys[bisect_left(keys, low) : bisect_left(keys, high)]
            seen += [(key * sign, lots[key] if now < then else 0) for key in moved if key not in changes]
        return seen

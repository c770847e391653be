"""The checksum of a book, as Kraken publishes it: CRC32 over the best ten levels of each side.

Source: https://docs.kraken.com/exchange/guides/websockets/book-checksum-v2 (steps and their order).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from zlib import crc32

CHECKED_LEVELS: Final = 10
"""Levels of each side that count."""


def book_checksum(asks: Iterable[tuple[int, int]], bids: Iterable[tuple[int, int]]) -> int:
    """Of at most ``CHECKED_LEVELS`` levels a side, best first: asks, then bids, each price and then quantity.

    A price is an integer, in units of its last decimal: what is left of its text without point and leading
    zeros.
    """
    digits = [f"{price}{quantity}" for side in (asks, bids) for price, quantity in side]
    return crc32("".join(digits).encode())

"""The checksum of a book, as Kraken publishes it: CRC32 over the best ten levels of each side.

Source: https://docs.kraken.com/exchange/guides/websockets/book-checksum-v2 (steps and their order).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from zlib import crc32

CHECKED_LEVELS: Final = 10
"""Levels of each side that count."""


def level_digits(levels: Iterable[tuple[int, int]]) -> str:
    """The text of one side: at most ``CHECKED_LEVELS`` levels, best first, each price and then quantity.

    A price is an integer, in units of its last decimal: what is left of its text without point and leading
    zeros.
    """
    return "".join([f"{price}{quantity}" for price, quantity in levels])


def book_checksum(asks: str, bids: str) -> int:
    """Of the texts of both sides."""
    return crc32((asks + bids).encode())

"""The checksum against Kraken's own example, and the one of our page."""

from __future__ import annotations

import re
from pathlib import Path
from zlib import crc32

import pytest

from exchange.engine.tape import Tapes
from exchange.model.instrument import Instrument
from exchange.model.types import InstrumentKind
from exchange.pipeline.book_feed import BookFeed
from exchange.wire.checksum import book_checksum, level_digits
from exchange.wire.events import BookSnapshot
from exchange.wire.prices import PriceGrid
from tests.support.markets import open_view

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "websocket.md").read_text()


def test_checksum_is_krakens() -> None:
    """The example of https://docs.kraken.com/exchange/guides/websockets/book-checksum-v1: prices of five
    decimals, quantities of eight, which are integers in units of the last."""
    asks = level_digits((price, 500) for price in range(5_005, 5_055, 5))
    bid_prices = (5_000, 4_995, 4_990, 4_980, 4_975, 4_970, 4_965, 4_960, 4_955, 4_950)
    assert book_checksum(asks, level_digits((price, 500) for price in bid_prices)) == 974_947_235


def test_checksum_of_the_page_is_right() -> None:
    """The worked example, from its levels and from its text."""
    text, expected = re.findall(r'`crc32\("(\d+)"\)` is (\d+)', PAGE)[0]
    assert crc32(text.encode()) == int(expected)
    asks, bids = level_digits([(440_025, 7), (440_050, 12)]), level_digits([(440_000, 10), (439_975, 3)])
    assert asks + bids == text
    assert book_checksum(asks, bids) == int(expected)


@pytest.mark.parametrize(
    ("tick_size", "decimals", "digits"),
    [("0.01", 2, 1), ("0.005", 3, 5), ("0.25", 2, 25), ("1", 0, 1), ("5", 0, 5), ("1/8", 3, 125)],
)
def test_grid_knows_its_decimals(tick_size: str, decimals: int, digits: int) -> None:
    """As many as every price needs; a price is a whole number of units of the last one."""
    instrument = Instrument(
        instrument_id="X", kind=InstrumentKind.INDEX, tick_size=tick_size, multiplier=8, first_price_ticks=100
    )
    grid = PriceGrid(instrument)
    assert grid.decimals is not None
    assert (grid.decimals, grid.digits) == (decimals, digits)
    assert f"{grid.decimal(7):.{decimals}f}".replace(".", "").lstrip("0") == str(7 * grid.digits)


def test_grid_without_decimals_has_no_checksum() -> None:
    """A third is written exactly with no number of them: nothing is told that nobody could compare."""
    third = Instrument(
        instrument_id="X", kind=InstrumentKind.INDEX, tick_size="1/3", multiplier=3, first_price_ticks=100
    )
    assert PriceGrid(third).decimals is None
    (snapshot,), _ = BookFeed(open_view(third, Tapes(("X",), daily=True)), "e", 0).begin()
    assert isinstance(snapshot, BookSnapshot)
    assert (snapshot.checksum, snapshot.price_decimals) == (None, None)

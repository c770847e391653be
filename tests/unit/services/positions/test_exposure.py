"""Exposure: reservations, conversions and the totals kept over them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from exchange.model.commands import OrderTerms
from exchange.model.types import Side
from exchange.services.positions.exposure import Exposure

BUY, SELL = Side.BUY, Side.SELL


def _long_of(quantity: int, exposure: Exposure | None = None, instrument_id: str = "X") -> Exposure:
    exposure = exposure or Exposure()
    exposure.reserve(1, instrument_id, BUY, quantity, True)
    exposure.convert(1, instrument_id, BUY, quantity)
    exposure.ended(1, instrument_id, BUY, True)
    return exposure


def test_exposure_of_a_stranger_is_nothing() -> None:
    """Whoever never traded holds nothing, and asking leaves no trace."""
    exposure = Exposure()
    assert exposure.position(1, "X") == exposure.open_quantity(1, "X", BUY) == 0
    assert exposure.resting_orders(1, "X", BUY) == 0
    assert exposure.total_position(1) == exposure.total_exposure(1) == 0
    assert exposure.open_instruments(1) == []
    assert exposure.state() == []


def test_reserve_counts_lots_and_resting_orders_per_side() -> None:
    """An immediate order reserves lots and is no resting order."""
    exposure = Exposure()
    exposure.reserve(1, "X", BUY, 10, True)
    exposure.reserve(1, "X", BUY, 5, False)
    exposure.reserve(1, "X", SELL, 3, True)
    assert exposure.open_quantity(1, "X", BUY) == 15
    assert exposure.open_quantity(1, "X", SELL) == 3
    assert exposure.resting_orders(1, "X", BUY) == 1
    assert exposure.resting_orders(1, "X", SELL) == 1
    assert exposure.open_quantity(1, "Y", BUY) == exposure.open_quantity(2, "X", BUY) == 0


def test_convert_makes_open_lots_position() -> None:
    """A fill moves lots from open to position; the side gives the sign."""
    exposure = Exposure()
    exposure.reserve(1, "X", SELL, 10, True)
    exposure.convert(1, "X", SELL, 4)
    assert exposure.position(1, "X") == -4
    assert exposure.open_quantity(1, "X", SELL) == 6


def test_reserve_more_and_release_are_opposites() -> None:
    """What an amend reserved and did not need leaves no trace."""
    exposure = Exposure()
    exposure.reserve(1, "X", BUY, 10, True)
    exposure.reserve_more(1, "X", BUY, 7)
    assert exposure.open_quantity(1, "X", BUY) == exposure.total_exposure(1) == 17
    exposure.release(1, "X", BUY, 7)
    assert exposure.open_quantity(1, "X", BUY) == exposure.total_exposure(1) == 10


def test_ended_gives_back_only_orders_that_could_rest() -> None:
    """The end of an immediate order changes no count of resting ones."""
    exposure = Exposure()
    exposure.reserve(1, "X", SELL, 10, True)
    exposure.ended(1, "X", SELL, False)
    assert exposure.resting_orders(1, "X", SELL) == 1
    exposure.ended(1, "X", SELL, True)
    assert exposure.resting_orders(1, "X", SELL) == 0


@pytest.mark.parametrize(
    ("position", "buys", "sells", "total"),
    [
        (0, 0, 0, 0),
        (0, 5, 3, 5),
        (0, 3, 5, 5),
        (10, 0, 0, 10),
        (10, 5, 0, 15),
        (10, 0, 15, 10),
        (10, 0, 25, 15),
        (-10, 25, 0, 15),
        (-10, 5, 5, 15),
    ],
)
def test_total_exposure_takes_the_worse_side(position: int, buys: int, sells: int, total: int) -> None:
    """max(|position + open buys|, |position - open sells|)."""
    exposure = Exposure()
    for side, quantity in ((BUY, position), (SELL, -position)):
        if quantity > 0:
            exposure.reserve(1, "X", side, quantity, True)
            exposure.convert(1, "X", side, quantity)
    for side, quantity in ((BUY, buys), (SELL, sells)):
        if quantity:
            exposure.reserve(1, "X", side, quantity, True)
    assert exposure.total_exposure(1) == total
    assert exposure.total_position(1) == abs(position)


def test_totals_sum_over_instruments_not_over_sides() -> None:
    """A long of 10 in one and a short of 4 in another are 14 lots held."""
    exposure = _long_of(10)
    exposure.reserve(1, "Y", SELL, 4, True)
    exposure.convert(1, "Y", SELL, 4)
    assert exposure.total_position(1) == 14
    exposure.reserve(1, "X", SELL, 10, True)
    exposure.convert(1, "X", SELL, 10)
    assert exposure.total_position(1) == 4


def test_open_instruments_are_those_with_lots() -> None:
    """Sorted; what is flat with nothing open is not listed and not in the state."""
    exposure = _long_of(10, instrument_id="Y")
    exposure.reserve(1, "X", BUY, 1, True)
    assert exposure.open_instruments(1) == ["X", "Y"]
    exposure.release(1, "X", BUY, 1)
    exposure.ended(1, "X", BUY, True)
    assert exposure.open_instruments(1) == ["Y"]
    assert exposure.state() == _long_of(10, instrument_id="Y").state()


Move = Callable[[Exposure], None]
IMPOSSIBLE: list[Move] = [
    lambda exposure: exposure.convert(1, "X", BUY, 6),
    lambda exposure: exposure.convert(1, "X", SELL, 1),
    lambda exposure: exposure.release(1, "X", BUY, 6),
    lambda exposure: exposure.release(1, "X", SELL, 1),
    lambda exposure: exposure.release(1, "X", BUY, -1),
    lambda exposure: exposure.ended(1, "X", BUY, True),
    lambda exposure: exposure.ended(1, "X", SELL, True),
    lambda exposure: exposure.reserve(1, "X", BUY, 0, True),
]


@pytest.mark.parametrize("move", IMPOSSIBLE)
def test_exposure_never_goes_negative(move: Move) -> None:
    """Converting, releasing or ending what was never reserved is a bug."""
    exposure = Exposure()
    exposure.reserve(1, "X", BUY, 5, False)
    with pytest.raises(AssertionError):
        move(exposure)


def test_exposure_counts_reduce_only_and_stop_orders() -> None:
    """From reservation to end, by side, and no plain order."""
    exposure = Exposure()
    reducing = OrderTerms(reduce_only=True)
    stop = OrderTerms(stop_price_ticks=5)
    exposure.reserve(1, "X", BUY, 3, True)
    exposure.reserve(1, "X", SELL, 3, True, reducing)
    exposure.reserve(2, "X", BUY, 3, False, reducing)
    exposure.reserve(1, "X", BUY, 3, False, stop)
    assert exposure.reduce_only_orders == 2
    assert [exposure.reducing_orders(1, "X", side) for side in (BUY, SELL)] == [0, 1]
    assert [exposure.reducing_orders(2, "X", side) for side in (BUY, SELL)] == [1, 0]
    assert [exposure.stop_orders(account, "X") for account in (1, 2)] == [1, 0]
    exposure.ended(1, "X", SELL, True, reducing)
    exposure.ended(2, "X", BUY, False, reducing)
    exposure.ended(1, "X", BUY, False, stop)
    assert exposure.reduce_only_orders == exposure.stop_orders(1, "X") == 0
    with pytest.raises(AssertionError):
        exposure.ended(1, "X", BUY, False, stop)

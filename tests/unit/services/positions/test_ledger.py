"""Average cost, realised P&L, cash and fees, as tables. A lot of X gains 10,000 per tick."""

from __future__ import annotations

import pytest

from exchange.model.commands import HOUSE_ACCOUNT
from exchange.model.events import PositionUpdate
from exchange.model.types import Side
from exchange.services.positions.ledger import Ledger, Position
from tests.support.settling import instrument

# Each row: fills as signed quantity @ price; then position, cost, realised P&L and cash, in ticks * lots.
TICK_VALUE = 10_000
TABLE = """
case                        fills                 position  cost  realised  cash
open_long                   +10@100               10        1000  0         -1000
open_short                  -10@100               -10       -1000 0         1000
add_to_long                 +10@100 +10@110       20        2100  0         -2100
add_to_short                -10@100 -10@110       -20       -2100 0         2100
close_long_with_gain        +10@100 -10@107       0         0     70        70
close_long_with_loss        +10@100 -10@93        0         0     -70       -70
close_short_with_gain       -10@100 +10@93        0         0     70        70
close_short_with_loss       -10@100 +10@107       0         0     -70       -70
close_part_of_long          +10@100 -4@110        6         600   40        -560
close_part_of_short         -10@100 +4@90         -6        -600  40        640
close_part_at_average       +10@100 +10@110 -5@105 15       1575  0         -1575
long_through_zero           +10@100 -15@110       -5        -550  100       650
short_through_zero          -10@100 +15@90        5         450   100       -350
flat_and_again              +10@100 -10@101 +3@99 3         297   10        -287
price_of_zero               +10@0 -10@5           0         0     50        50
"""


def _rows() -> list[tuple[str, list[tuple[int, int]], int, int, int, int]]:
    rows = []
    for line in TABLE.strip().splitlines()[1:]:
        case, *rest = line.split()
        fills = [word.split("@") for word in rest[:-4]]
        position, cost, realised, cash = map(int, rest[-4:])
        rows.append(
            (case, [(int(lots), int(price)) for lots, price in fills], position, cost, realised, cash)
        )
    return rows


def _book(ledger: Ledger, fills: list[tuple[int, int]], account: int = 1, instrument_id: str = "X") -> None:
    for lots, price_ticks in fills:
        side = Side.BUY if lots > 0 else Side.SELL
        ledger.book(account, instrument_id, side, abs(lots), price_ticks, 0)


@pytest.mark.parametrize(("case", "fills", "position", "cost", "realised", "cash"), _rows())
def test_book_keeps_average_cost(
    case: str, fills: list[tuple[int, int]], position: int, cost: int, realised: int, cash: int
) -> None:
    """Position, total cost, realised P&L and cash after each sequence of fills."""
    ledger = Ledger([instrument("X")])
    _book(ledger, fills)
    line = ledger.positions(1)["X"]
    assert (line.position, line.cost, line.realised_pnl, ledger.cash(1)) == (
        position,
        cost * TICK_VALUE,
        realised * TICK_VALUE,
        cash * TICK_VALUE,
    ), case


# A lot of Y gains 50 per tick, of U 1: costs that do not divide.
@pytest.mark.parametrize(
    ("fills", "left", "cost", "realised"),
    [
        ([(1, 100), (2, 101), (-1, 100)], 2, 202, 0),  # 302 * 1 // 3 = 100 released, 202 stay
        ([(-1, 100), (-2, 101), (1, 100)], -2, -202, 0),  # the mirror: 100 released, not 101
        ([(1, 100), (2, 101), (-1, 100), (-2, 100)], 0, 0, -2),  # the last close releases all
        ([(-1, 100), (-2, 101), (1, 100), (2, 100)], 0, 0, 2),
        ([(1, 100), (2, 101), (-2, 100)], 1, 101, -1),  # 302 * 2 // 3 = 201
        ([(1, 100), (2, 101), (-5, 100)], -2, -200, -2),  # through zero releases all 302
    ],
)
def test_book_rounds_a_partial_close_towards_zero(
    fills: list[tuple[int, int]], left: int, cost: int, realised: int
) -> None:
    """A partial close releases |cost| * closed // |position|, a short as the mirror of a long."""
    ledger = Ledger([instrument("U", "0.0001", 1)])
    _book(ledger, fills, instrument_id="U")
    assert ledger.positions(1) == {"U": Position(left, cost, realised)}


def test_book_scales_by_the_tick_value_of_the_instrument() -> None:
    """Tick 0.005, multiplier 1: three lots at 7 ticks cost 0.1050."""
    ledger = Ledger([instrument("X"), instrument("Y", "0.005", 1)])
    _book(ledger, [(3, 7)], instrument_id="Y")
    assert ledger.cash(1) == -1_050
    assert ledger.tick_value("Y") == 50


def test_fees_of_both_signs_go_against_the_house() -> None:
    """A rebate is positive, a fee negative, cash is without either; the house has minus the sum."""
    ledger = Ledger([instrument("X")])
    ledger.book(1, "X", Side.SELL, 10, 100, 2_000)
    ledger.book(2, "X", Side.BUY, 10, 100, -3_000)
    assert (ledger.fees(1), ledger.fees(2), ledger.fees(HOUSE_ACCOUNT)) == (2_000, -3_000, 1_000)
    assert (ledger.cash(1), ledger.cash(2), ledger.cash(HOUSE_ACCOUNT)) == (10_000_000, -10_000_000, 0)


def test_self_trade_nets_to_zero_but_its_fees() -> None:
    """Both sides of one account: no position, no cash, no P&L, and fees on both sides."""
    ledger = Ledger([instrument("X")])
    ledger.book(1, "X", Side.SELL, 10, 100, 2_000)
    ledger.book(1, "X", Side.BUY, 10, 100, -3_000)
    assert ledger.positions(1) == {"X": Position(0, 0, 0)}
    assert (ledger.cash(1), ledger.fees(1), ledger.fees(HOUSE_ACCOUNT)) == (0, -1_000, 1_000)


def test_position_update_shows_line_and_account() -> None:
    """The line of one instrument, cash and fees of the whole account."""
    ledger = Ledger([instrument("X"), instrument("Y", "0.005", 1)])
    ledger.book(1, "X", Side.BUY, 2, 100, -400)
    ledger.book(1, "Y", Side.SELL, 4, 10, 80)
    assert ledger.position_update(1, 9, 77, "Y") == PositionUpdate(
        1, 9, 77, "Y", -4, -2_000, 0, 2_000 - 2_000_000, -320
    )


def test_ledger_of_a_stranger_is_empty() -> None:
    """Whoever never traded has no lines, no cash and no fees, and asking leaves no trace."""
    ledger = Ledger([instrument("X")])
    assert ledger.positions(5) == {}
    assert ledger.cash(5) == ledger.fees(5) == 0
    assert ledger.accounts() == [HOUSE_ACCOUNT]
    assert ledger.state() == Ledger([]).state()

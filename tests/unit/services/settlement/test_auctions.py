"""Fills of an auction."""

from exchange.model.events import ExecutionReport, PositionUpdate, Traded
from exchange.model.roles import Fees, Role
from exchange.model.types import Liquidity, Side
from exchange.services.positions.fees import FeeSchedule
from tests.support.settling import Desk, new_order, role_of


def test_auction_fill_has_its_liquidity_fee_and_id_on_both_sides() -> None:
    """Neither side is maker or taker; each pays the auction fee of its role, by default nothing."""
    desk = Desk()
    buy, sell = desk.rest(new_order(1, Side.BUY, 5, 128)), desk.rest(new_order(2, Side.SELL, 5, 127))
    record = desk.admit(new_order(3, Side.BUY, 1))
    trade = Traded(1, "X", 127, 5, buy, sell, 1, 2, Side.SELL, record.sequence)
    told = desk.settle(record, trade).private
    reports = [event for event in told if isinstance(event, ExecutionReport)]
    assert [(each.account, each.liquidity, each.fees, each.auction_id) for each in reports] == [
        (1, Liquidity.AUCTION, 0, record.sequence),
        (2, Liquidity.AUCTION, 0, record.sequence),
    ]
    assert [each.exec_id for each in reports] == [1, 2]
    assert [event.position for event in told if isinstance(event, PositionUpdate)] == [5, -5]
    (public,) = desk.settlement.history.trades("X", 9).rows
    assert (public.auction_id, public.price_ticks) == (record.sequence, 127)


def test_auction_fee_is_that_of_the_role() -> None:
    """Configured beside maker and taker."""
    fees = FeeSchedule(lambda account: Role(name="r", fees=Fees(maker=1, taker=2, auction=-3)))
    assert fees.fee(1, Liquidity.AUCTION, 4) == -12


def test_auction_trade_of_a_team_with_itself_nets_to_zero() -> None:
    """Self-trade prevention does not apply in an auction: two fills, one position update."""
    desk = Desk()
    buy, sell = desk.rest(new_order(1, Side.BUY, 5, 128)), desk.rest(new_order(1, Side.SELL, 5, 127))
    record = desk.admit(new_order(3, Side.BUY, 1))
    told = desk.settle(record, Traded(1, "X", 127, 5, buy, sell, 1, 1, Side.SELL, record.sequence)).private
    assert [type(event) for event in told] == [ExecutionReport, ExecutionReport, PositionUpdate]
    assert desk.exposure.position(1, "X") == 0
    assert role_of(1).fees.auction == 0

"""The soft portfolio limit: 200 lots for odd accounts here, 500 for even ones."""

from __future__ import annotations

from exchange.model.commands import CancelOrders, CancelScope
from exchange.model.events import Cancelled
from exchange.model.roles import PortfolioLimit, Role
from exchange.model.types import CancelReason, Side
from exchange.services.positions.exposure import Exposure
from exchange.services.settlement.portfolio import PortfolioWatch
from tests.support.settling import Desk, new_order

BUY, SELL = Side.BUY, Side.SELL


def _wish(*scopes: CancelScope) -> tuple[CancelOrders, ...]:
    return (CancelOrders(1, scopes, CancelReason.PORTFOLIO_LIMIT),)


def test_fills_up_to_the_limit_are_no_breach() -> None:
    """At the limit is within it."""
    desk = Desk()
    desk.rest(new_order(1, BUY, 10, instrument_id="Y"))
    assert desk.trade(new_order(1, BUY, 200), new_order(2, SELL, 200)).wishes == ()
    assert desk.settlement.portfolio.breaches(1) == 0


def test_fills_past_the_limit_wish_the_increasing_orders_away() -> None:
    """Long of X: its bids go and its asks stay. Flat in Y: both sides go. Another team is untouched."""
    desk = Desk()
    desk.rest(new_order(1, BUY, 10, 90))
    desk.rest(new_order(1, SELL, 10, 110))
    desk.rest(new_order(1, BUY, 10, 90, instrument_id="Y"))
    desk.rest(new_order(1, SELL, 10, 110, instrument_id="Y"))
    settled = desk.trade(new_order(1, BUY, 201), new_order(2, SELL, 201))
    assert settled.wishes == _wish(CancelScope("X", BUY), CancelScope("Y", BUY), CancelScope("Y", SELL))
    assert desk.settlement.portfolio.breaches(1) == 1
    assert desk.settlement.portfolio.breaches(2) == 0


def test_asks_beyond_the_mirror_of_a_long_increase_it() -> None:
    """Long 201: 402 on offer could end at short 201, one more would be further out."""
    for quantity, scopes in ((402, ()), (403, (CancelScope("X", SELL),))):
        desk = Desk()
        desk.rest(new_order(1, SELL, quantity, 110))
        settled = desk.trade(new_order(1, BUY, 201), new_order(2, SELL, 201))
        assert settled.wishes == (_wish(*scopes) if scopes else ())


def test_a_breach_with_nothing_open_counts_and_wishes_nothing() -> None:
    """There is nothing to cancel, but the score counts it."""
    desk = Desk()
    assert desk.trade(new_order(1, BUY, 201), new_order(2, SELL, 201)).wishes == ()
    assert desk.settlement.portfolio.breaches(1) == 1


def test_going_further_past_wishes_again_and_counts_once() -> None:
    """Fills still in flight may go on: each step further out wishes again, a step back does not."""
    desk = Desk()
    desk.rest(new_order(1, BUY, 10, 90))
    desk.trade(new_order(1, BUY, 201), new_order(2, SELL, 201))
    assert desk.trade(new_order(1, BUY, 1), new_order(2, SELL, 1), 2).wishes == _wish(CancelScope("X", BUY))
    assert desk.trade(new_order(1, SELL, 1), new_order(2, BUY, 1), 3).wishes == ()
    assert desk.settlement.portfolio.breaches(1) == 1


def test_coming_back_and_passing_again_counts_twice() -> None:
    """A breach ends when the team is within its limit again."""
    desk = Desk()
    for trade_id, (side, quantity) in enumerate([(BUY, 201), (SELL, 1), (BUY, 1)], 1):
        desk.trade(new_order(1, side, quantity), new_order(2, side.opposite, quantity), trade_id)
    assert desk.settlement.portfolio.breaches(1) == 2


def test_a_wish_that_came_true_is_followed_by_what_it_missed() -> None:
    """Wishes of a team are coalesced while one waits, so settle looks once more, until done."""
    desk = Desk()
    desk.rest(new_order(1, BUY, 10, 90))
    (wish,) = desk.trade(new_order(1, BUY, 201), new_order(2, SELL, 201)).wishes
    late = desk.rest(new_order(1, BUY, 5, 90, instrument_id="Y"))
    cancelled = Cancelled(1, "X", BUY, 90, 10, CancelReason.PORTFOLIO_LIMIT)
    (again,) = desk.settle(desk.admit(wish), cancelled).wishes
    assert again == CancelOrders(1, (CancelScope("Y", BUY),), CancelReason.PORTFOLIO_LIMIT)
    cancelled = Cancelled(late, "Y", BUY, 90, 5, CancelReason.PORTFOLIO_LIMIT)
    assert desk.settle(desk.admit(again), cancelled).wishes == ()


def test_a_wish_that_came_true_after_the_team_came_back_is_the_last() -> None:
    """Within its limit again: its orders stay."""
    desk = Desk()
    desk.rest(new_order(1, BUY, 10, 90))
    (wish,) = desk.trade(new_order(1, BUY, 201), new_order(2, SELL, 201)).wishes
    desk.rest(new_order(1, BUY, 5, 90, instrument_id="Y"))
    desk.trade(new_order(1, SELL, 1), new_order(2, BUY, 1), 2)
    cancelled = Cancelled(1, "X", BUY, 90, 10, CancelReason.PORTFOLIO_LIMIT)
    assert desk.settle(desk.admit(wish), cancelled).wishes == ()
    assert desk.settle(desk.admit(CancelOrders(1, (), CancelReason.MARKET_CLOSE))).wishes == ()


def test_a_hard_limit_is_not_watched() -> None:
    """With open orders counted at admission it cannot be passed; no limit at all is none."""
    exposure = Exposure()
    exposure.reserve(1, "X", BUY, 10_000, True)
    exposure.convert(1, "X", BUY, 10_000)
    hard = PortfolioLimit(max_total_position=10, count_open_orders=True)
    for constraints in ((hard,), ()):
        roles = {1: Role(name="any", constraints=constraints)}
        watch = PortfolioWatch(exposure, roles.__getitem__)
        assert watch.filled([1]) == ()
        assert watch.breaches(1) == 0


def test_the_smallest_of_several_limits_holds() -> None:
    """Two rows of config: the tighter one."""
    exposure = Exposure()
    exposure.reserve(1, "X", BUY, 11, True)
    exposure.convert(1, "X", BUY, 11)
    rows = (PortfolioLimit(max_total_position=20), PortfolioLimit(max_total_position=10))
    watch = PortfolioWatch(exposure, lambda account: Role(name="any", constraints=rows))
    watch.filled([1])
    assert watch.breaches(1) == 1

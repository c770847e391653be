"""Executions and public trades that are kept."""

from __future__ import annotations

from exchange.model.events import ExecutionReport
from exchange.model.page import Gone, Page, Span
from exchange.model.types import Liquidity, Side
from exchange.services.settlement.history import History, PublicTrade
from tests.support.settling import Desk, new_order

BUY, SELL = Side.BUY, Side.SELL


def _execution(account: int, exec_id: int, timestamp_us: int = 0) -> ExecutionReport:
    return ExecutionReport(
        account, 1, timestamp_us, 1, None, "r", "X", BUY, exec_id, exec_id, 100, 1, Liquidity.TAKER, 0, 1, 0
    )


def _trade(trade_id: int, side: Side = BUY) -> PublicTrade:
    return PublicTrade(trade_id, 100, 1, side, 0)


def _ids(page: Page[ExecutionReport]) -> list[int]:
    return [each.exec_id for each in page.rows]


def test_executions_page_by_exec_id() -> None:
    """Oldest first per team; the next page starts above the last one seen, and tells if it is the last."""
    history = History()
    for exec_id in (1, 2, 4, 7, 9):
        history.executed(_execution(1, exec_id))
    history.executed(_execution(2, 10))
    assert _ids(history.executions(1, 2)) == [1, 2]
    assert history.executions(1, 2, after=2) == Page([_execution(1, 4), _execution(1, 7)], has_more=True)
    assert history.executions(1, 3, after=2).has_more is False
    assert _ids(history.executions(1, 9, after=5)) == [7, 9]
    assert history.executions(1, 2, after=9) == history.executions(3, 2) == Page([])


def test_trades_page_by_trade_id() -> None:
    """Oldest first per instrument; a filter leaves out what does not match and still fills the page."""
    history = History()
    for trade_id, side in ((1, BUY), (5, SELL), (6, BUY), (8, BUY)):
        history.traded("X", _trade(trade_id, side))
    history.traded("Y", _trade(7))
    assert [each.trade_id for each in history.trades("X", 2).rows] == [1, 5]
    bought = history.trades("X", 2, matches=lambda trade: trade.taker_side is BUY)
    assert ([each.trade_id for each in bought.rows], bought.has_more) == ([1, 6], True)
    assert history.trades("Z", 2) == Page([])


def test_executions_of_a_span_begin_at_it_and_end_before_its_end() -> None:
    """``from_us`` is in the span, ``to_us`` is not; a cursor beyond the beginning counts."""
    history = History()
    for exec_id, timestamp_us in ((1, 10), (2, 20), (3, 20), (4, 30)):
        history.executed(_execution(1, exec_id, timestamp_us))
    assert _ids(history.executions(1, 9, span=Span(20, 30))) == [2, 3]
    assert _ids(history.executions(1, 9, after=2, span=Span(20))) == [3, 4]
    assert _ids(history.executions(1, 9, span=Span(None, 20))) == [1]
    assert _ids(history.executions(1, 9, span=Span(31))) == []


def test_history_says_what_it_dropped_at_its_bounds() -> None:
    """A full list forgets its first row; a page that may lack one names the last that went."""
    history = History(executions_per_team=2, trades_per_instrument=2)
    for number in (1, 2, 3, 4):
        history.executed(_execution(1, number, 10 * number))
        history.traded("X", _trade(number))
    assert [each.trade_id for each in history.trades("X", 9).rows] == [3, 4]
    assert history.trades("X", 9).gone == Gone(2, 0)
    behind = history.executions(1, 9, after=1)
    assert (_ids(behind), behind.gone) == ([3, 4], Gone(2, 20))
    assert history.executions(1, 9, after=2).gone is None
    assert history.executions(1, 9, span=Span(20)).gone == Gone(2, 20)
    assert history.executions(1, 9, span=Span(21)).gone is None


def test_settlement_fills_both_histories() -> None:
    """Each side finds its own half, everyone the trade with the taker's side."""
    desk = Desk()
    desk.trade(new_order(1, SELL, 4, 99), new_order(2, BUY, 4), trade_id=3)
    history = desk.settlement.history
    assert [(each.order_id, each.exec_id) for each in history.executions(1, 9).rows] == [(1, 5)]
    assert [(each.order_id, each.exec_id) for each in history.executions(2, 9).rows] == [(2, 6)]
    assert history.trades("X", 9).rows == [PublicTrade(3, 99, 4, BUY, 1_000_010)]

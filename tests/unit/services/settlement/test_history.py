"""Executions and public trades that are kept."""

from __future__ import annotations

from exchange.model.events import ExecutionReport
from exchange.model.types import Liquidity, Side
from exchange.services.settlement.history import History, PublicTrade
from tests.support.settling import Desk, new_order

BUY, SELL = Side.BUY, Side.SELL


def _execution(account: int, exec_id: int) -> ExecutionReport:
    return ExecutionReport(
        account, 1, 0, 1, None, "r", "X", BUY, exec_id, exec_id, 100, 1, Liquidity.TAKER, 0, 1, 0
    )


def _trade(trade_id: int) -> PublicTrade:
    return PublicTrade(trade_id, 100, 1, BUY, 0)


def test_executions_page_by_exec_id() -> None:
    """Oldest first per team; the next page starts above the last exec_id seen."""
    history = History()
    for exec_id in (1, 2, 4, 7, 9):
        history.executed(_execution(1, exec_id))
    history.executed(_execution(2, 10))
    assert [each.exec_id for each in history.executions(1, 2)] == [1, 2]
    assert [each.exec_id for each in history.executions(1, 2, after=2)] == [4, 7]
    assert [each.exec_id for each in history.executions(1, 9, after=5)] == [7, 9]
    assert history.executions(1, 2, after=9) == []
    assert history.executions(3, 2) == []


def test_trades_page_by_trade_id() -> None:
    """Oldest first per instrument."""
    history = History()
    for trade_id in (1, 5, 6):
        history.traded("X", _trade(trade_id))
    history.traded("Y", _trade(7))
    assert [each.trade_id for each in history.trades("X", 2)] == [1, 5]
    assert [each.trade_id for each in history.trades("X", 2, after=5)] == [6]
    assert history.trades("Z", 2) == []


def test_history_drops_the_oldest_at_its_bounds() -> None:
    """A full list forgets its first row; a cursor that fell out goes on with what is left."""
    history = History(executions_per_team=2, trades_per_instrument=2)
    for number in (1, 2, 3, 4):
        history.executed(_execution(1, number))
        history.traded("X", _trade(number))
    assert [each.exec_id for each in history.executions(1, 9, after=1)] == [3, 4]
    assert [each.trade_id for each in history.trades("X", 9)] == [3, 4]


def test_settlement_fills_both_histories() -> None:
    """Each side finds its own half, everyone the trade with the taker's side."""
    desk = Desk()
    desk.trade(new_order(1, SELL, 4, 99), new_order(2, BUY, 4), trade_id=3)
    history = desk.settlement.history
    assert [(each.order_id, each.exec_id) for each in history.executions(1, 9)] == [(1, 5)]
    assert [(each.order_id, each.exec_id) for each in history.executions(2, 9)] == [(2, 6)]
    assert history.trades("X", 9) == [PublicTrade(3, 99, 4, BUY, 1_000_010)]

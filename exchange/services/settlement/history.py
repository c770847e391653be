"""The last executions of each team and the last trades of each instrument, oldest first."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import TypeVar

import msgspec

from exchange.base.bounds import EXECUTIONS_PER_TEAM, TRADES_PER_INSTRUMENT
from exchange.model.events import ExecutionReport
from exchange.model.types import Side

_Row = TypeVar("_Row")


class PublicTrade(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A trade as everyone sees it."""

    trade_id: int
    price_ticks: int
    quantity: int
    taker_side: Side
    timestamp_us: int
    auction_id: int | None = None


class HistorySnapshot(msgspec.Struct, frozen=True, array_like=True):
    """Rows by account and by instrument, oldest first."""

    executions: dict[int, list[ExecutionReport]]
    trades: dict[str, list[PublicTrade]]


class History:
    """Bounded: the oldest row of a full list goes first. Identifiers rise along each list."""

    def __init__(
        self,
        executions_per_team: int = EXECUTIONS_PER_TEAM,
        trades_per_instrument: int = TRADES_PER_INSTRUMENT,
    ) -> None:
        self._executions_per_team = executions_per_team
        self._trades_per_instrument = trades_per_instrument
        self._executions: dict[int, deque[ExecutionReport]] = {}
        self._trades: dict[str, deque[PublicTrade]] = {}

    def executed(self, report: ExecutionReport) -> None:
        """Keep a fill for the team it belongs to."""
        kept = self._executions.get(report.account)
        if kept is None:
            kept = self._executions[report.account] = deque(maxlen=self._executions_per_team)
        kept.append(report)

    def traded(self, instrument_id: str, trade: PublicTrade) -> None:
        """Keep a trade for everyone."""
        kept = self._trades.get(instrument_id)
        if kept is None:
            kept = self._trades[instrument_id] = deque(maxlen=self._trades_per_instrument)
        kept.append(trade)

    def executions(self, account: int, limit: int, after: int | None = None) -> list[ExecutionReport]:
        """Executions of ``account`` kept, those above exec_id ``after``, oldest first."""
        return _page(self._executions.get(account), limit, after, lambda report: report.exec_id)

    def trades(self, instrument_id: str, limit: int, after: int | None = None) -> list[PublicTrade]:
        """Trades of an instrument kept, those above trade_id ``after``, oldest first."""
        return _page(self._trades.get(instrument_id), limit, after, lambda trade: trade.trade_id)

    def snapshot(self) -> HistorySnapshot:
        """Everything."""
        return HistorySnapshot(
            {account: list(rows) for account, rows in self._executions.items()},
            {instrument_id: list(rows) for instrument_id, rows in self._trades.items()},
        )

    def load(self, snapshot: HistorySnapshot) -> None:
        """Take over a snapshot."""
        for account, executions in snapshot.executions.items():
            self._executions[account] = deque(executions, self._executions_per_team)
        for instrument_id, trades in snapshot.trades.items():
            self._trades[instrument_id] = deque(trades, self._trades_per_instrument)


def _page(rows: deque[_Row] | None, limit: int, after: int | None, key: Callable[[_Row], int]) -> list[_Row]:
    if rows is None:
        return []
    start = 0 if after is None else bisect_right(rows, after, key=key)
    return list(islice(rows, start, start + limit))

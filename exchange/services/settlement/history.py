"""The last executions of each team and the last trades of each instrument, oldest first."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice, takewhile
from typing import Generic

import msgspec

from exchange.base.bounds import EXECUTIONS_PER_TEAM, TRADES_PER_INSTRUMENT
from exchange.model.events import ExecutionReport
from exchange.model.page import ALWAYS, Gone, Page, Row, Span
from exchange.model.types import Side


class PublicTrade(msgspec.Struct, frozen=True, gc=False):
    """A trade as everyone sees it."""

    trade_id: int
    price_ticks: int
    quantity: int
    taker_side: Side
    timestamp_us: int
    auction_id: int | None = None


class History:
    """Bounded: the oldest row of a full list goes first. Identifiers and times rise along each list.

    So a page that goes on above a cursor has neither a row twice nor, unless it says ``gone``, one too few,
    whatever was added since the page before.
    """

    def __init__(
        self,
        executions_per_team: int = EXECUTIONS_PER_TEAM,
        trades_per_instrument: int = TRADES_PER_INSTRUMENT,
    ) -> None:
        self._executions_per_team = executions_per_team
        self._trades_per_instrument = trades_per_instrument
        self._executions: dict[int, _Kept[ExecutionReport]] = {}
        self._trades: dict[str, _Kept[PublicTrade]] = {}

    def executed(self, report: ExecutionReport) -> None:
        """Keep a fill for the team it belongs to."""
        kept = self._executions.get(report.account)
        if kept is None:
            kept = self._executions[report.account] = _Kept(self._executions_per_team, _exec_id, _executed_at)
        kept.append(report)

    def traded(self, instrument_id: str, trade: PublicTrade) -> None:
        """Keep a trade for everyone."""
        kept = self._trades.get(instrument_id)
        if kept is None:
            kept = self._trades[instrument_id] = _Kept(self._trades_per_instrument, _trade_id, _traded_at)
        kept.append(trade)

    def executions(
        self,
        account: int,
        limit: int,
        after: int | None = None,
        span: Span = ALWAYS,
        matches: Callable[[ExecutionReport], bool] | None = None,
    ) -> Page[ExecutionReport]:
        """Executions of ``account`` above exec_id ``after``, oldest first."""
        kept = self._executions.get(account)
        return Page([]) if kept is None else kept.page(limit, after, span, matches)

    def trades(
        self,
        instrument_id: str,
        limit: int,
        after: int | None = None,
        span: Span = ALWAYS,
        matches: Callable[[PublicTrade], bool] | None = None,
    ) -> Page[PublicTrade]:
        """Trades of an instrument above trade_id ``after``, oldest first."""
        kept = self._trades.get(instrument_id)
        return Page([]) if kept is None else kept.page(limit, after, span, matches)


class _Kept(Generic[Row]):
    """One list, and the last row it let go."""

    __slots__ = ("_gone", "_number", "_rows", "_time")

    def __init__(self, bound: int, number: Callable[[Row], int], time: Callable[[Row], int]) -> None:
        self._rows: deque[Row] = deque(maxlen=bound)
        self._gone: Row | None = None
        self._number = number
        self._time = time

    def append(self, row: Row) -> None:
        rows = self._rows
        if len(rows) == rows.maxlen:
            self._gone = rows[0]
        rows.append(row)

    def page(
        self, limit: int, after: int | None, span: Span, matches: Callable[[Row], bool] | None
    ) -> Page[Row]:
        found = list(islice(filter(matches, self._from(after, span)), limit + 1))
        return Page(found[:limit], len(found) > limit, self._missing(after, span))

    def _from(self, after: int | None, span: Span) -> Iterator[Row]:
        start, time, to_us = 0, self._time, span.to_us
        if after is not None:
            start = bisect_right(self._rows, after, key=self._number)
        if span.from_us is not None:
            start = max(start, bisect_left(self._rows, span.from_us, key=time))
        rows = islice(self._rows, start, None)
        return rows if to_us is None else takewhile(lambda row: time(row) < to_us, rows)

    def _missing(self, after: int | None, span: Span) -> Gone | None:
        if self._gone is None:
            return None
        gone = Gone(self._number(self._gone), self._time(self._gone))
        asked = (after is None or gone.number > after) and (
            span.from_us is None or gone.timestamp_us >= span.from_us
        )
        return gone if asked else None


def _exec_id(report: ExecutionReport) -> int:
    return report.exec_id


def _executed_at(report: ExecutionReport) -> int:
    return report.timestamp_us


def _trade_id(trade: PublicTrade) -> int:
    return trade.trade_id


def _traded_at(trade: PublicTrade) -> int:
    return trade.timestamp_us

"""The last executions of each team and the last trades of each instrument, oldest first."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice, takewhile
from typing import Final, Generic, TypeAlias

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


Matches: TypeAlias = Callable[[Row], bool] | None
"""Which rows a page is made of; None takes all."""


class History:
    """Bounded: the oldest row of a full list goes first. Identifiers and times rise along each list.

    So a page that goes on above a cursor has neither a row twice nor, unless it says ``gone``, one too few,
    whatever was added since the page before. The last row that went is held behind those that are kept.
    """

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
            kept = self._executions[report.account] = deque(maxlen=self._executions_per_team + 1)
        kept.append(report)

    def traded(self, instrument_id: str, trade: PublicTrade) -> None:
        """Keep a trade for everyone."""
        kept = self._trades.get(instrument_id)
        if kept is None:
            kept = self._trades[instrument_id] = deque(maxlen=self._trades_per_instrument + 1)
        kept.append(trade)

    def executions(
        self,
        account: int,
        limit: int,
        after: int | None = None,
        span: Span = ALWAYS,
        matches: Matches[ExecutionReport] = None,
    ) -> Page[ExecutionReport]:
        """Executions of ``account`` above exec_id ``after``, oldest first."""
        rows = self._executions.get(account)
        return Page([]) if rows is None else _page(rows, _EXECUTION, limit, after, span, matches)

    def trades(
        self,
        instrument_id: str,
        limit: int,
        after: int | None = None,
        span: Span = ALWAYS,
        matches: Matches[PublicTrade] = None,
    ) -> Page[PublicTrade]:
        """Trades of an instrument above trade_id ``after``, oldest first."""
        rows = self._trades.get(instrument_id)
        return Page([]) if rows is None else _page(rows, _TRADE, limit, after, span, matches)


class _Order(Generic[Row]):
    """What a list is in order of."""

    def __init__(self, number: Callable[[Row], int], time: Callable[[Row], int]) -> None:
        self.number = number
        self.time = time


_EXECUTION: Final = _Order[ExecutionReport](lambda report: report.exec_id, lambda report: report.timestamp_us)
_TRADE: Final = _Order[PublicTrade](lambda trade: trade.trade_id, lambda trade: trade.timestamp_us)


def _page(
    rows: deque[Row], order: _Order[Row], limit: int, after: int | None, span: Span, matches: Matches[Row]
) -> Page[Row]:
    last_gone = rows[0] if len(rows) == rows.maxlen else None
    start = 0 if last_gone is None else 1
    if after is not None:
        start = max(start, bisect_right(rows, after, key=order.number))
    if span.from_us is not None:
        start = max(start, bisect_left(rows, span.from_us, key=order.time))
    found = list(islice(filter(matches, _until(span.to_us, islice(rows, start, None), order)), limit + 1))
    gone = None if last_gone is None else _missing(last_gone, order, after, span)
    return Page(found[:limit], len(found) > limit, gone)


def _until(to_us: int | None, rows: Iterator[Row], order: _Order[Row]) -> Iterator[Row]:
    return rows if to_us is None else takewhile(lambda row: order.time(row) < to_us, rows)


def _missing(last_gone: Row, order: _Order[Row], after: int | None, span: Span) -> Gone | None:
    """The last row that went, where it or those before it were asked for."""
    gone = Gone(order.number(last_gone), order.time(last_gone))
    asked = (after is None or gone.number > after) and (
        span.from_us is None or gone.timestamp_us >= span.from_us
    )
    return gone if asked else None

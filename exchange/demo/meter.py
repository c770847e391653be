"""What is counted while bots trade: orders, trades, and how long an order waits for its answer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Unpack

import msgspec

from exchange.base.bounds import DEMO_LATENCIES
from exchange.client import (
    DEFAULT_GROUP,
    ClientEvent,
    ExchangeClient,
    ExecutionReport,
    OrderReceipt,
    PriceAndQuantity,
    QuoteReceipt,
    Side,
    WaitFor,
)
from exchange.client.trading import Terms
from exchange.client.transport import Transport
from exchange.model.types import Liquidity


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """A quote is one of the orders; latencies in milliseconds, over the last ones."""

    orders: int
    refused: int
    trades: int
    p50_ms: float
    p99_ms: float


class Meter:
    """Counts for all bots together. A trade is counted where its taker is told of it."""

    def __init__(self) -> None:
        self._orders = 0
        self._refused = 0
        self._trades = 0
        self._latencies_s: deque[float] = deque(maxlen=DEMO_LATENCIES)

    def answered(self, latency_s: float) -> None:
        """An order or quote was answered."""
        self._orders += 1
        self._latencies_s.append(latency_s)

    def refused(self) -> None:
        """One of them with a no."""
        self._refused += 1

    def traded(self) -> None:
        """Two orders met."""
        self._trades += 1

    def figures(self) -> Figures:
        """As of now."""
        latencies_ms = sorted(each * 1_000 for each in self._latencies_s)
        return Figures(
            orders=self._orders,
            refused=self._refused,
            trades=self._trades,
            p50_ms=percentile(latencies_ms, 0.50),
            p99_ms=percentile(latencies_ms, 0.99),
        )


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value that ``share`` of ``ordered`` do not exceed (nearest rank); 0 of nothing."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class MeteredClient(ExchangeClient):
    """A client whose orders and quotes (``sent``) and fills (``filled``) are counted."""

    def __init__(self, transport: Transport, meter: Meter, now_s: Callable[[], float]) -> None:
        super().__init__(transport)
        self.sent = 0
        self.filled = 0
        self._meter = meter
        self._now_s = now_s
        self.on_event(self._count)

    async def order(
        self,
        instrument_id: str,
        side: Side,
        quantity: int,
        *,
        wait: WaitFor = WaitFor.VALIDATION,
        **terms: Unpack[Terms],
    ) -> OrderReceipt:
        """As the client's own, timed."""
        started_s = self._now_s()
        try:
            return await super().order(instrument_id, side, quantity, wait=wait, **terms)
        except Exception:
            self._meter.refused()
            raise
        finally:
            self._answered(started_s)

    async def quote(
        self,
        instrument_id: str,
        *,
        bid: PriceAndQuantity | None = None,
        ask: PriceAndQuantity | None = None,
        quote_group: str = DEFAULT_GROUP,
    ) -> QuoteReceipt:
        """As the client's own, timed."""
        started_s = self._now_s()
        try:
            return await super().quote(instrument_id, bid=bid, ask=ask, quote_group=quote_group)
        except Exception:
            self._meter.refused()
            raise
        finally:
            self._answered(started_s)

    def _answered(self, started_s: float) -> None:
        self.sent += 1
        self._meter.answered(self._now_s() - started_s)

    def _count(self, event: ClientEvent) -> None:
        if isinstance(event, ExecutionReport):
            self.filled += 1
            if event.liquidity_type is Liquidity.TAKER:
                self._meter.traded()

"""Follows the trend: buys what rises, sells what falls."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from random import Random

from exchange.bots.paced_bot import PacedBot
from exchange.client import ExchangeClient, Side, TimeInForce, TradeEvent


class Momentum(PacedBot):
    """Compares the mean price of the newer half of the last ``window`` trades with that of the older half.

    Beyond ``threshold`` (a share of the price) it holds up to ``max_position`` with the trend, otherwise
    nothing. ``rng`` decides how much of the way it goes at once, so that two of them do not act as one.
    """

    def __init__(
        self,
        client: ExchangeClient,
        rng: Random,
        instruments: Sequence[str],
        *,
        window: int = 20,
        threshold: float = 0.0002,
        max_position: int = 10,
        per_second: int = 2,
    ) -> None:
        super().__init__(client, per_second=per_second, max_position=max_position)
        self.instruments = tuple(instruments)
        self._rng = rng
        self._threshold = threshold
        self._prices = {each: deque[float](maxlen=max(2, window)) for each in self.instruments}

    async def on_trade(self, instrument_id: str, trade: TradeEvent) -> None:
        prices = self._prices[instrument_id]
        prices.append(trade.price)
        if len(prices) == prices.maxlen:
            await self._approach(instrument_id, self.wanted_position(list(prices)))

    def wanted_position(self, prices: Sequence[float]) -> int:
        """The position for these last prices, oldest first."""
        half = len(prices) // 2
        older, newer = sum(prices[:half]) / half, sum(prices[-half:]) / half
        change = newer / older - 1
        if abs(change) < self._threshold:
            return 0
        return self.max_position if change > 0 else -self.max_position

    async def _approach(self, instrument_id: str, wanted: int) -> None:
        away = wanted - self.position(instrument_id)
        book = self.book(instrument_id)
        side = Side.BUY if away > 0 else Side.SELL
        touch = book.best_ask if side is Side.BUY else book.best_bid
        if away == 0 or touch is None or self.open_orders(instrument_id):
            return
        quantity = min(self._rng.randint(1, abs(away)), touch.quantity)
        await self.send(instrument_id, side, quantity, touch.price, TimeInForce.IOC)

"""Quotes both sides around what it thinks an instrument is worth."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor
from random import Random

import msgspec

from exchange.bots.paced_bot import PacedBot
from exchange.client import (
    ExchangeClient,
    ExecutionReport,
    OpenOrder,
    Side,
    TradeEvent,
)


class Quoting(msgspec.Struct, frozen=True, kw_only=True):
    """How a maker quotes. Shares are of the fair price.

    ``memory`` is the share of the last trade price in the fair price, the rest is where the price was when
    the maker began: below 1, so that makers that trade with one another are pulled back instead of drifting
    away. ``skew`` moves the quotes against the position, so that the next trade reduces it: by that share of
    their half width when ``max_position`` is held, by less when less is.
    """

    size: int = 5
    half_width: float = 0.001
    min_half_width_ticks: int = 2
    memory: float = 0.5
    skew: float = 1.0
    tolerance: float = 0.25
    """Quotes stay as they are while they are off by less than this share of the half width."""

    def prices(self, anchor: float, last: float, held: float, tick_size: float) -> tuple[float | None, float]:
        """Bid and ask, on the grid, at least two ticks apart; no bid where it would be below one tick.

        ``held`` is the position as a share of the most that is wanted, -1 to 1.
        """
        fair = (1 - self.memory) * anchor + self.memory * last
        half = max(self.half_width * fair, self.min_half_width_ticks * tick_size)
        centre = fair - self.skew * half * held
        bid_ticks = floor((centre - half) / tick_size)
        ask_ticks = max(ceil((centre + half) / tick_size), bid_ticks + 2, 2)
        bid = round(bid_ticks * tick_size, 9) if bid_ticks >= 1 else None
        return bid, round(ask_ticks * tick_size, 9)


class _Market(msgspec.Struct):
    """What the maker knows of one instrument. ``anchor`` is its price when the maker began."""

    instrument_id: str
    tick_size: float
    anchor: float
    last: float


class MarketMaker(PacedBot):
    """Keeps a bid and an ask in each of ``instruments``.

    A quote that is off or was filled is amended rather than cancelled, so that there is always one. Every
    ``timer_s`` seconds it looks at all of them, beginning anywhere, in case the pace does not allow for all;
    a fill moves the quotes of its instrument at once.
    """

    def __init__(
        self,
        client: ExchangeClient,
        rng: Random,
        instruments: Sequence[str],
        *,
        quoting: Quoting | None = None,
        timer_s: float = 1.0,
        max_position: int = 40,
        per_second: int = 50,
    ) -> None:
        super().__init__(client, per_second=per_second, max_position=max_position)
        self.instruments = tuple(instruments)
        self.timer_s = timer_s
        self._rng = rng
        self._quoting = quoting or Quoting()
        self._markets: dict[str, _Market] = {}

    async def on_start(self) -> None:
        await super().on_start()
        for each in await self.client.instruments():
            if each.instrument_id in self.instruments:
                price = each.reference_price
                self._markets[each.instrument_id] = _Market(each.instrument_id, each.tick_size, price, price)
        await self.on_timer()

    async def on_trade(self, instrument_id: str, trade: TradeEvent) -> None:
        self._markets[instrument_id].last = trade.price

    async def on_fill(self, fill: ExecutionReport) -> None:
        market = self._markets.get(fill.instrument_id)
        if market is not None:
            await self._quote(market)

    async def on_timer(self) -> None:
        markets = list(self._markets.values())
        start = self._rng.randrange(len(markets))
        for market in markets[start:] + markets[:start]:
            await self._quote(market)

    async def on_stop(self) -> None:
        for instrument_id in self.instruments:
            await self.client.cancel_all(instrument_id)

    async def _quote(self, market: _Market) -> None:
        held = self.position(market.instrument_id) / self.max_position
        bid, ask = self._quoting.prices(market.anchor, market.last, held, market.tick_size)
        # The quote that moves away goes first, so that the two never meet.
        asks = self._own(market, Side.SELL)
        if asks and asks[0].price is not None and ask > asks[0].price:
            await self._keep(market, Side.SELL, ask)
            await self._keep(market, Side.BUY, bid)
        else:
            await self._keep(market, Side.BUY, bid)
            await self._keep(market, Side.SELL, ask)

    async def _keep(self, market: _Market, side: Side, price: float | None) -> None:
        orders = self._own(market, side)
        for extra in orders[1:]:
            await self.cancel(extra)
        if orders:
            await self._move(orders[0], price)
        elif price is not None:
            await self.send(market.instrument_id, side, self._quoting.size, price)

    async def _move(self, order: OpenOrder, price: float | None) -> None:
        resting = order.remaining_quantity
        size = min(self._quoting.size, resting + self.room(order.instrument_id, order.side))
        if price is None or size <= 0:
            await self.cancel(order)
        elif self._is_off(order, price) or resting * 2 < size:
            total = order.quantity - resting + size
            if total <= self.max_size:
                await self.amend(order, price=price, quantity=total)
            elif await self.cancel(order):
                # What it has traded counts towards the size of an order: a new one takes its place.
                await self.send(order.instrument_id, order.side, size, price)

    def _is_off(self, order: OpenOrder, price: float) -> bool:
        if order.price is None:
            return False
        return abs(order.price - price) > self._quoting.tolerance * self._quoting.half_width * price

    def _own(self, market: _Market, side: Side) -> list[OpenOrder]:
        return [each for each in self.open_orders(market.instrument_id) if each.side is side]

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
    PriceAndQuantity,
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
    """Keeps a bid and an ask in each of ``instruments``. Its team needs a role that may quote.

    A quote that is off or was filled is replaced, both sides at once, so that there is always one. Every
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
        instrument_id = market.instrument_id
        held = self.position(instrument_id) / self.max_position
        bid, ask = self._quoting.prices(market.anchor, market.last, held, market.tick_size)
        now = self._standing(instrument_id, Side.BUY), self._standing(instrument_id, Side.SELL)
        wanted = (
            self._wanted(instrument_id, Side.BUY, bid, now[0]),
            self._wanted(instrument_id, Side.SELL, ask, now[1]),
        )
        if wanted != now:
            await self.quote(instrument_id, *wanted)

    def _standing(self, instrument_id: str, side: Side) -> PriceAndQuantity | None:
        """The side of the quote that is in the book, as far as the bot has heard."""
        for order in self.open_orders(instrument_id):
            if order.side is side and order.price is not None:
                return order.price, order.remaining_quantity
        return None

    def _wanted(
        self, instrument_id: str, side: Side, price: float | None, now: PriceAndQuantity | None
    ) -> PriceAndQuantity | None:
        """What that side should be: as it is, unless that is off or less than half of what it could be."""
        resting = 0 if now is None else now[1]
        size = min(self._quoting.size, resting + self.room(instrument_id, side))
        if price is None or size <= 0:
            return None
        if now is not None and not self._is_off(now[0], price) and 2 * resting >= size:
            return now
        return price, size

    def _is_off(self, standing: float, price: float) -> bool:
        return abs(standing - price) > self._quoting.tolerance * self._quoting.half_width * price

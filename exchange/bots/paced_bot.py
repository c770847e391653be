"""What the sample bots have in common: a pace, and sense when the exchange says no."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from typing import Final

from exchange.bots.bot import Bot
from exchange.bots.pace import Pace
from exchange.client import (
    DEFAULT_GROUP,
    ExchangeClient,
    ExchangeError,
    Forbidden,
    OpenOrder,
    OrderReceipt,
    OutcomeUnknown,
    Phase,
    PriceAndQuantity,
    RateLimited,
    Rejected,
    Side,
    TimeInForce,
    Unauthenticated,
)

_LOG: Final = logging.getLogger("exchange.bots")

REST_AFTER_REFUSAL_S: Final = 1.0
REST_AFTER_FAILURE_S: Final = 2.0


class PacedBot(Bot):
    """Sends at most ``per_second`` orders and sides of quotes, fewer where its role allows fewer.

    ``max_position`` bounds every position and ``max_size`` every order, in lots; ``refusals`` counts what the
    exchange refused, by code.
    """

    def __init__(self, client: ExchangeClient, *, per_second: int, max_position: int) -> None:
        super().__init__(client)
        self.max_position = max_position
        self.refusals: Counter[str] = Counter()
        self._per_second = per_second
        self.max_size = max_position
        self._max_portfolio: int | None = None
        self.pace: Pace

    async def on_start(self) -> None:
        self.pace = Pace(asyncio.get_running_loop().time, self._per_second)
        for limit in (await self.client.limits()).limits:
            if limit.type == "order_rate":
                self.pace.limit(limit.limit)
            elif limit.type == "order_size":
                self.max_size = min(self.max_size, limit.limit)
            elif limit.type == "portfolio_limit":
                self._max_portfolio = limit.limit

    @property
    def may_trade(self) -> bool:
        """Whether the market takes orders, the bot hears what becomes of them and is not about to end."""
        return self.is_connected and not self.is_stopping and self.phase is Phase.CONTINUOUS

    def room(self, instrument_id: str, side: Side) -> int:
        """Lots that may still be sent on ``side``: open orders count towards ``max_position``, and what would
        not reduce the position counts towards the portfolio limit.
        """
        held = side.sign * self.position(instrument_id)
        opened = sum(
            order.remaining_quantity for order in self.open_orders(instrument_id) if order.side is side
        )
        left = min(self.max_position - held - opened, self.max_size)
        if self._max_portfolio is not None:
            total = sum(map(abs, self.positions.values()))
            left = min(left, max(0, -held) + max(0, self._max_portfolio - total))
        return max(0, left)

    async def send(
        self,
        instrument_id: str,
        side: Side,
        quantity: int,
        price: float,
        time_in_force: TimeInForce | None = None,
    ) -> OrderReceipt | None:
        """Send a limit order if pace and room allow; None when it was not sent or not taken."""
        quantity = min(quantity, self.room(instrument_id, side))
        if quantity <= 0 or not self.may_trade or not self.pace.take():
            return None
        try:
            return await self.client.order(
                instrument_id, side, quantity, price=price, time_in_force=time_in_force
            )
        except ExchangeError as error:
            self._refused(error)
            return None

    async def quote(
        self, instrument_id: str, bid: PriceAndQuantity | None, ask: PriceAndQuantity | None
    ) -> bool:
        """Quote the sides that are not None, if the pace allows; with neither the quote is cancelled."""
        if not self.may_trade or not self.pace.take((bid is not None) + (ask is not None)):
            return False
        try:
            if bid is None and ask is None:
                await self.client.cancel_all(instrument_id, quote_group=DEFAULT_GROUP)
            else:
                await self.client.quote(instrument_id, bid=bid, ask=ask)
        except ExchangeError as error:
            self._refused(error)
            return False
        return True

    async def cancel(self, order: OpenOrder) -> bool:
        """Cancel an order; false when it has ended meanwhile."""
        if order.order_id is None:
            return False
        try:
            await self.client.cancel(order.order_id)
        except ExchangeError as error:
            self._refused(error)
            return False
        return True

    def _refused(self, error: ExchangeError) -> None:
        self.refusals[error.code] += 1
        match error:
            case Unauthenticated() | Forbidden():
                _LOG.error("%s stops: %s", type(self).__name__, error)
                self.stop()
            case RateLimited():
                self.pace.rest(error.retry_after_s or REST_AFTER_REFUSAL_S)
            case Rejected():
                # An order that ended before it was cancelled is no reason to slow down.
                _LOG.info("%s: %s", type(self).__name__, error)
                if error.status != 404:
                    self.pace.rest(REST_AFTER_REFUSAL_S)
            case OutcomeUnknown():
                _LOG.warning("%s: %s", type(self).__name__, error)
                self.pace.rest(REST_AFTER_FAILURE_S)
            case _:
                _LOG.warning("%s: %s", type(self).__name__, error)
                self.pace.rest(error.retry_after_s or REST_AFTER_FAILURE_S)

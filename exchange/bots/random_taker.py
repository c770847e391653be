"""Takes liquidity at random: somebody has to trade with the market makers."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from exchange.bots.paced_bot import PacedBot
from exchange.client import ExchangeClient, Side, TimeInForce


class RandomTaker(PacedBot):
    """Every ``timer_s`` seconds takes up to ``max_quantity`` lots at the best price of a random instrument.

    The larger a position, the likelier it is reduced, so positions wander around zero. The order is an
    immediate-or-cancel limit at the touch: it pays what is shown, never more.
    """

    def __init__(
        self,
        client: ExchangeClient,
        rng: Random,
        instruments: Sequence[str],
        *,
        timer_s: float = 1.0,
        max_quantity: int = 5,
        max_position: int = 20,
        per_second: int = 4,
    ) -> None:
        super().__init__(client, per_second=per_second, max_position=max_position)
        self.instruments = tuple(instruments)
        self.timer_s = timer_s
        self._rng = rng
        self._max_quantity = max_quantity

    async def on_timer(self) -> None:
        instrument_id = self._rng.choice(self.instruments)
        side = self._side(self.position(instrument_id))
        book = self.book(instrument_id)
        touch = book.best_ask if side is Side.BUY else book.best_bid
        if touch is None or not book.is_synced:
            return
        quantity = min(self._rng.randint(1, self._max_quantity), touch.quantity)
        await self.send(instrument_id, side, quantity, touch.price, TimeInForce.IOC)

    def _side(self, position: int) -> Side:
        buys = 0.5 - position / (2 * self.max_position)
        return Side.BUY if self._rng.random() < buys else Side.SELL

"""A bot that trades SPX on an exchange on this machine."""

import asyncio
import os

from exchange.bots import Bot
from exchange.client import ExchangeClient, OrderBook


class Patient(Bot):
    """Joins the best bid; sells what it bought at the best ask."""

    instruments = ("SPX",)

    async def on_book(self, book: OrderBook) -> None:
        if book.best_bid and book.best_ask and not self.open_orders("SPX"):
            if self.position("SPX") > 0:
                await self.client.sell("SPX", 1, price=book.best_ask.price)
            else:
                await self.client.buy("SPX", 1, price=book.best_bid.price)


client = ExchangeClient.connect("http://127.0.0.1:8000", os.environ["EXCHANGE_API_KEY"])
asyncio.run(Patient(client).run())

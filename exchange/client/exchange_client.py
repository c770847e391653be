"""The client: orders, queries and events of one team, the same over every transport."""

from __future__ import annotations

from random import Random
from types import TracebackType
from typing import Self

from exchange.base.entropy import Entropy, SystemEntropy
from exchange.client.account import Account
from exchange.client.caller import Caller
from exchange.client.errors import NotUnderstood
from exchange.client.event_stream import EventStream
from exchange.client.history import History
from exchange.client.http import HttpTransport, WebSocketTransport
from exchange.client.link import Link, LinkSettings
from exchange.client.order_book import OrderBook
from exchange.client.order_entry import ClientOrderIds, OrderEntry
from exchange.client.order_queues import OrderQueues
from exchange.client.queries import Queries
from exchange.client.quotes import Quotes
from exchange.client.retries import Retries
from exchange.client.streams import API_VERSION, FLAG, EventListener, Streams
from exchange.client.trading import Trading
from exchange.client.transport import Transport
from exchange.wire.requests import DisconnectRequest


class ExchangeClient(Trading, Quotes, Queries, History):
    """One team on one exchange. Use it as ``async with``, or call :meth:`close`.

    Every call raises :class:`~exchange.client.errors.ExchangeError`. Prices are decimals, quantities lots,
    money received is positive. ``account`` and :meth:`live_book` follow the channels that are subscribed to.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        entropy: Entropy | None = None,
        retries: Retries | None = None,
        link: LinkSettings | None = None,
    ) -> None:
        entropy = entropy or SystemEntropy()
        link = link or LinkSettings()
        rng = Random(entropy.token(8))
        self.account = Account()
        self._transport = transport
        self._streams = Streams(self.account, link.answer_timeout_s)
        self._link = Link(transport, self._streams, rng, link)
        self._caller = Caller(transport, self._link, retries or Retries(), rng)
        self._entry = OrderEntry(self._caller, self.account)
        self._ids = ClientOrderIds(entropy)

    @classmethod
    def connect(cls, url: str, api_key: str | None = None) -> Self:
        """A client for ``url``: with ``ws`` or ``wss`` orders go over the socket, else over HTTP."""
        transport = WebSocketTransport if url.startswith("ws") else HttpTransport
        return cls(transport(url, api_key))

    async def __aenter__(self) -> Self:
        try:
            version = (await self.status()).api_version
            if version != API_VERSION:
                raise NotUnderstood(f"API version {version}, this SDK knows {API_VERSION}", 200)
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give back every connection; streams of events end. Orders stay as they are."""
        await self._link.close()
        await self._transport.close()

    # --- events ---------------------------------------------------------------------------------

    def events(self, *channels: str, conflate_ms: int | None = None) -> EventStream:
        """Events of ``private``, ``phase``, ``book.{instrument}``, ``trades.{instrument}`` and the like.

        What becomes of the connection is told among them. One reader at a time. ``conflate_ms`` as in
        :meth:`subscribe`.
        """
        self._link.start()
        return EventStream(self._streams, channels, conflate_ms)

    async def subscribe(self, *channels: str, conflate_ms: int | None = None) -> None:
        """Add channels; returns when the exchange has entered them.

        With ``conflate_ms`` each tells where it stands at most once in that time, and is never too slow to
        follow; ``private``, ``phase`` and trades do not take it.
        """
        self._link.start()
        await self._streams.subscribe(channels, conflate_ms)

    def unsubscribe(self, *channels: str) -> None:
        """Nothing of these channels is told from now on."""
        self._streams.unsubscribe(channels)

    async def cancel_on_disconnect(self, enabled: bool = True) -> None:
        """Have the exchange cancel the team's orders when this client's socket is gone.

        Every new socket asks for it again. Returns when the exchange has noted it.
        """
        self._streams.is_flagged = enabled
        await self._link.request(FLAG, DisconnectRequest(enabled=enabled), self._caller.retries.timeout_s)

    def on_event(self, listener: EventListener) -> None:
        """Call ``listener`` with every event as it arrives, before any reader; it must not wait."""
        self._streams.listen(listener)

    def live_book(self, instrument_id: str, depth: int | None = None) -> OrderBook | None:
        """The book as of the last message; None unless ``book.{instrument}`` is subscribed to.

        With ``depth`` that of ``book.{instrument}.{depth}``.
        """
        return self._streams.book(instrument_id, depth)

    def live_orders(self, instrument_id: str) -> OrderQueues | None:
        """Every order as of the last message; None unless ``orders.{instrument}`` is subscribed to."""
        return self._streams.queues(instrument_id)

"""A team's socket: follows streams over disconnects and restarts, sometimes too slowly, and checks them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import msgspec

from exchange.app import Exchange
from exchange.client.errors import ExchangeError
from exchange.client.in_process import InProcessTransport
from exchange.client.in_process_socket import InProcessSocket
from exchange.client.transport import SocketClosed
from exchange.engine.book import Depth
from exchange.model.events import OrderEvent, PositionUpdate
from exchange.pipeline.streams import Feed
from exchange.wire.ids import order_id_text
from tests.oracle.actions import INSTRUMENTS
from tests.simulation.checker import Checker

PRIVATE = "private"
_CHANNELS = (PRIVATE, *(f"{kind}.{name}" for kind in ("book", "trades") for name in INSTRUMENTS))
_TOO_SLOW = 4008
_LOGGED_OUT = 4003
_GONE = 1006


class Listener:
    """Of one team. ``cursors`` is the last sequence of each channel, kept over sockets."""

    def __init__(self, account: int, key: str, checker: Checker, chance: Random) -> None:
        self.account = account
        self.key = key
        self.closed: list[int] = []
        """Close codes of its sockets so far."""
        self.received = 0
        self._checker = checker
        self._books = checker.books
        self._chance = chance
        self._cursors: dict[str, int] = {}
        self._epoch: str | None = None
        self._depths: dict[str, tuple[dict[float, int], dict[float, int]]] = {}
        self._socket: InProcessSocket | None = None
        self._live: set[str] = set()
        self._is_flagged = False

    def begin(self, key: str) -> None:
        """A new life of the exchange begins; its sockets begin without a flag."""
        self.key = key
        self._is_flagged = False

    async def follow(self, exchange: Exchange) -> None:
        """Connect again and again, until cancelled. Raises AssertionError for a stream with a gap."""
        while True:
            transport = InProcessTransport(exchange.api, self.key)
            try:
                socket = await transport.connect()
                assert isinstance(socket, InProcessSocket)
                await self._listen(socket)
            except SocketClosed as closed:
                self.closed.append(closed.close_code)
                _allow(closed.close_code in (1000, 1001, 1006, _TOO_SLOW, _LOGGED_OUT), closed)
            except ExchangeError as error:
                _allow(error.code in ("UNAUTHENTICATED", "NO_ANSWER"), error)
            finally:
                self._socket = None
                self._is_flagged = False
                self._live.clear()
                await transport.close()
            await asyncio.sleep(self._chance.random() * 0.02)

    def hang_up(self) -> None:
        """Go away without a word."""
        if self._socket is None:
            return
        if self._is_flagged and self._socket.is_open:
            # Of the team no other socket is flagged: what is live now goes.
            self._checker.doomed.update(self._books.live[self.account])
        self._socket.end(SocketClosed(_GONE))

    def check_depth(self, depths: dict[str, Depth], feed: Callable[[str, None], Feed | None]) -> None:
        """At rest a book of which everything was read is the exchange's."""
        for name, depth in depths.items():
            book = feed(f"book.{name}", None)
            assert book is not None
            if book.name in self._live and self._cursors[book.name] == book.last_seq:
                bids, asks = self._depths[name]
                assert [[round(price * 100), lots] for price, lots in sorted(bids.items(), reverse=True)] == [
                    list(level) for level in depth.bids
                ], f"book.{name}"
                assert [[round(price * 100), lots] for price, lots in sorted(asks.items())] == [
                    list(level) for level in depth.asks
                ], f"book.{name}"

    async def _listen(self, socket: InProcessSocket) -> None:
        self._socket = socket
        hello = msgspec.json.decode(await socket.receive())
        if hello["epoch"] != self._epoch:
            self._epoch = hello["epoch"]
            self._cursors = {PRIVATE: self._cursors[PRIVATE]} if PRIVATE in self._cursors else {}
        await socket.send(self._request(1, "subscribe", self._wanted()))
        if self._chance.random() < 0.4:
            await socket.send(self._request(2, "session.cancel_on_disconnect", {"enabled": True}))
        if self._chance.random() < 0.2:
            await socket.send(self._request(3, "session.cancel_all_after", {"timeout_ms": 300}))
        is_slow = self._chance.random() < 0.15
        while True:
            self._take(msgspec.json.decode(await socket.receive()))
            if is_slow and self._chance.random() < 0.1:
                await asyncio.sleep(self._chance.random() * 0.1)

    def _wanted(self) -> dict[str, Any]:
        return {"channels": _CHANNELS, "resume_from": self._cursors, "epoch": self._epoch}

    def _request(self, number: int, method: str, params: dict[str, Any]) -> bytes:
        return msgspec.json.encode({"id": number, "method": method, "params": params})

    # --- one message ------------------------------------------------------------------------------

    def _take(self, message: dict[str, Any]) -> None:
        self.received += 1
        kind = message.get("type")
        if kind is None:
            self._answered(message)
        elif kind in ("phase_change", "server_shutdown"):
            pass
        elif kind == "position_snapshot":
            self._snapshot(message)
        elif "channel" in message:
            self._public(message)
        else:
            self._private(message)

    def _answered(self, message: dict[str, Any]) -> None:
        if message["id"] == 2 and "error" not in message:
            self._is_flagged = True
        if message["id"] != 1:
            return
        assert "error" not in message, message
        for state in message["result"]["channels"]:
            name = state["channel"]
            self._live.add(name)
            if not state.get("resumed"):
                assert name != PRIVATE or name not in self._cursors, f"could not resume: {state}"
                self._begins(name, state["seq"])

    def _begins(self, name: str, seq: int) -> None:
        if name.startswith("book."):
            # Nothing is known before the snapshot has come: a socket may end between the two.
            self._live.discard(name)
            self._cursors.pop(name, None)
        elif name != PRIVATE:
            self._cursors[name] = seq

    def _snapshot(self, message: dict[str, Any]) -> None:
        self._cursors[PRIVATE] = message["seq"]
        held = {
            event.instrument_id: event.position
            for event in self._books.told[self.account][: message["seq"]]
            if isinstance(event, PositionUpdate)
        }
        told = {name: lots for name, lots in message["positions"].items() if lots}
        assert told == {name: lots for name, lots in held.items() if lots}, message

    def _private(self, message: dict[str, Any]) -> None:
        seq = message["seq"]
        assert seq == self._cursors[PRIVATE] + 1, f"private {seq} after {self._cursors[PRIVATE]}"
        self._cursors[PRIVATE] = seq
        event = self._books.told[self.account][seq - 1]
        if isinstance(event, OrderEvent):
            assert message.get("order_id") == order_id_text(event.order_id), f"{message} is not {event}"
        else:
            assert message.get("position") == event.position, f"{message} is not {event}"

    def _public(self, message: dict[str, Any]) -> None:
        name, seq = message["channel"], message["seq"]
        if message["type"] == "book_snapshot":
            self._depths[name.removeprefix("book.")] = (dict(message["bids"]), dict(message["asks"]))
            self._live.add(name)
        else:
            assert seq == self._cursors[name] + 1, f"{name} {seq} after {self._cursors[name]}"
            if message["type"] == "book_update":
                self._update(name.removeprefix("book."), message)
        self._cursors[name] = seq

    def _update(self, name: str, message: dict[str, Any]) -> None:
        for side, levels in zip(self._depths[name], (message["bids"], message["asks"]), strict=True):
            for price, lots in levels:
                if lots:
                    side[price] = lots
                else:
                    # A level that came and went within one batch was never told.
                    side.pop(price, None)


def _allow(is_allowed: bool, error: Exception) -> None:
    assert is_allowed, f"a socket ended with {error!r}"

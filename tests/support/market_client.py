"""A client of one public channel, as naive as can be: it applies what it is told and checks the sequence."""

from __future__ import annotations

from typing import Any
from zlib import crc32


class MarketClient:
    """``state`` is what it believes. ``known`` is the sequence up to which it has everything, None before."""

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.known: int | None = None
        self.snapshots = 0
        self.updates = 0
        self.bids: dict[float, Any] = {}
        self.asks: dict[float, Any] = {}
        self.last: dict[str, Any] | None = None
        self.decimals = 0

    @property
    def state(self) -> Any:
        """Levels, or places, of both sides; of another channel its last message without numbers."""
        if self.channel.startswith(("book.", "orders.")):
            return self.bids, self.asks
        if self.last is None:
            return None
        return {name: value for name, value in self.last.items() if name not in ("seq", "prev_seq")}

    def restart(self) -> None:
        """Nothing is known."""
        self.__init__(self.channel)  # type: ignore[misc]

    def take(self, message: dict[str, Any]) -> None:
        """Take in one message of the channel."""
        assert message["channel"] == self.channel
        kind = message["type"]
        if kind in ("book_snapshot", "orders_snapshot"):
            self._begin(message)
        elif kind in ("book_update", "orders_update"):
            assert message["prev_seq"] == self.known, "an update continues what is known"
            self._change(message)
            self.updates += 1
        else:
            if self.known is not None:
                assert message.get("prev_seq", message["seq"] - 1) in (self.known, self.known - 1)
            self.last = message
        self.known = message["seq"]
        if "checksum" in message:
            assert message["checksum"] == self._checksum()

    def _begin(self, message: dict[str, Any]) -> None:
        if message.get("part", 1) == 1:
            self.bids, self.asks = {}, {}
        self.snapshots += 1
        self.decimals = message.get("price_decimals", 0)
        self._change(message)

    def _change(self, message: dict[str, Any]) -> None:
        for levels, changes in ((self.bids, message["bids"]), (self.asks, message["asks"])):
            for name, *what in changes:
                if what[-1]:
                    levels[name] = what if len(what) > 1 else what[0]
                else:
                    levels.pop(name, None)

    def _checksum(self) -> int:
        asks = sorted(self.asks.items())[:10]
        bids = sorted(self.bids.items(), reverse=True)[:10]
        text = ""
        for price, quantity in asks + bids:
            text += f"{price:.{self.decimals}f}".replace(".", "").lstrip("0") + str(quantity)
        return crc32(text.encode())

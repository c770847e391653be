"""Sockets for tests of the hub: what was handed to one, and a client that reads when the test says so."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from exchange.api.transport.frames import binary_frame, text_frame
from exchange.model.events import NewOrderAck
from exchange.model.instrument import Instrument
from exchange.model.types import InstrumentKind, OrderType, Side, TimeInForce
from exchange.pipeline.connection import Connection
from exchange.pipeline.hub import Hub
from exchange.wire.encode_events import Encoding
from exchange.wire.events import PositionSnapshot

INSTRUMENT = Instrument(
    instrument_id="SPX",
    kind=InstrumentKind.INDEX,
    tick_size="0.01",
    multiplier=100,
    first_price_ticks=440_000,
)
FRAMERS = {Encoding.JSON: text_frame, Encoding.MSGPACK: binary_frame}


def payload(frame: bytes) -> bytes:
    """What a whole unmasked frame carries."""
    size = frame[1]
    return frame[2 if size < 126 else 4 if size == 126 else 10 :]


class FakeOutlet:
    """Holds what it is given until :meth:`read`, as a kernel's buffer that is never emptied by itself."""

    def __init__(self) -> None:
        self.unsent: list[bytes] = []
        self.read_frames: list[bytes] = []
        self.close_code: int | None = None
        self.gone = False
        self._emptied = asyncio.Event()

    def write(self, frame: bytes) -> bool:
        if self.gone or self.close_code is not None:
            return False
        self.unsent.append(frame)
        return True

    def buffered_bytes(self) -> int:
        return sum(map(len, self.unsent))

    def is_behind(self, most_bytes: int, most_messages: int) -> bool:
        return self.buffered_bytes() > most_bytes or len(self.unsent) > most_messages

    def close(self, code: int, reason: str) -> None:
        self.close_code = code
        self._emptied.set()

    async def drained(self) -> None:
        self._emptied.clear()
        if self.unsent and self.close_code is None and not self.gone:
            await self._emptied.wait()

    def read(self) -> list[dict[str, Any]]:
        """Take everything, as a client that reads it."""
        taken, self.unsent = self.unsent, []
        self.read_frames += taken
        self._emptied.set()
        return [json.loads(payload(frame)) for frame in taken]

    def leave(self) -> None:
        """The client is gone."""
        self.gone = True
        self._emptied.set()


def listener(hub: Hub, encoding: Encoding = Encoding.JSON) -> tuple[FakeOutlet, Connection]:
    """A socket at ``hub``."""
    outlet = FakeOutlet()
    return outlet, hub.open(outlet, encoding)


def private_event(seq: int, account: int = 1, request_id: str = "r") -> NewOrderAck:
    """The event number ``seq`` of a team's stream."""
    return NewOrderAck(
        account=account,
        seq=seq,
        timestamp_us=1_704_067_200_000_000 + seq,
        order_id=seq,
        client_order_id=None,
        request_id=request_id,
        instrument_id="SPX",
        side=Side.BUY,
        order_type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        price_ticks=440_000,
        quantity=1,
    )


class FakeSettle:
    """Has settled as far as ``seq`` says."""

    def __init__(self, seq: int = 0) -> None:
        self.seq = seq

    def snapshot(self, account: int) -> PositionSnapshot:
        return PositionSnapshot(seq=self.seq, timestamp="T", positions={}, cash=0.0, fees=0.0, open_orders=[])

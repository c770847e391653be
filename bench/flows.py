"""Recorded order flows: reading and writing them, playing them through a venue, and their reports.

Rows are ``seq,action,order_id,side,price_ticks,quantity,time_in_force`` with actions new, cancel and amend.
The quantity of an amend is the new *open* quantity, where the venue's is a total.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from exchange.engine.venue import Venue
from exchange.model.commands import AmendOrder, AnyCommand, CancelOrder, NewOrder, Record
from exchange.model.events import (
    Acknowledged,
    Amended,
    AmendRefused,
    AnyVenueEvent,
    Cancelled,
    CancelRefused,
    Traded,
)
from exchange.model.presets import FLOW_INSTRUMENT, preset_rules
from exchange.model.types import OrderType, Side, TimeInForce

RECORDED: Final = {
    "normal": "aca87a70eebd11caa0ff5d045535f2f8f6469f118e8bd9f192f374ec697d7854",
    "static": "959aaf511d3eb85e2a1e30182eb8de7dfba638b042f82123382d4090679ff8b7",
    "flash_crash": "f0aa8b0f4ad9ae3e006b23f378ccace7f76f8e248f637b720f4fece7e421f997",
    "overlapping": "d86d4b16a5aac9b1004a2d8aba2143fd9164049062a8ba92b7ebc8bd850ea13f",
}
"""The recorded flows and the SHA-256 of the reports that any correct book gives."""

ACCOUNT: Final = 1
COLUMNS: Final = ("seq", "action", "order_id", "side", "price_ticks", "quantity", "time_in_force")


class Message(msgspec.Struct, frozen=True):
    """One row. ``side``, ``price_ticks`` and ``quantity`` mean nothing in a cancel."""

    seq: int
    action: str
    order_id: int
    side: Side = Side.BUY
    price_ticks: int = 0
    quantity: int = 0
    immediate: bool = False


def read_flow(path: Path) -> list[Message]:
    """The messages of a ``csv.gz``."""
    with gzip.open(path, "rt", newline="") as file:
        return [
            Message(
                int(row["seq"]),
                row["action"],
                int(row["order_id"]),
                Side(row["side"] or "buy"),
                int(row["price_ticks"] or 0),
                int(row["quantity"] or 0),
                row["time_in_force"] == "ioc",
            )
            for row in csv.DictReader(file)
        ]


def write_flow(path: Path, messages: Iterable[Message]) -> None:
    """Write what :func:`read_flow` reads; equal messages give equal bytes."""
    lines = [",".join(COLUMNS), *(",".join(_row(message)) for message in messages)]
    path.write_bytes(gzip.compress("\n".join(lines).encode() + b"\n", mtime=0))


def _row(message: Message) -> Iterator[str]:
    yield from (str(message.seq), message.action, str(message.order_id))
    if message.action == "cancel":
        yield from ("", "", "", "")
        return
    yield from (message.side.value, str(message.price_ticks), str(message.quantity))
    yield ("ioc" if message.immediate else "gtc") if message.action == "new" else ""


class FlowPlayer:
    """Plays messages into a venue of its own as commands of one account, and words its events as reports.

    The venue numbers an order by the sequence of its command; a flow brings numbers of its own.
    """

    def __init__(self) -> None:
        self.venue = Venue(preset_rules("flow"))
        self.commands: list[AnyCommand] = []
        self.trades = 0
        self._number: dict[int, int] = {}
        self._flow_id: dict[int, int] = {}
        self._filled: dict[int, int] = {}
        self._filled_before = 0

    def play(self, message: Message) -> list[str]:
        """The lines of one message."""
        sequence = message.seq + 1
        command = self._command(sequence, message)
        self.commands.append(command)
        events = self.venue.apply(Record(sequence, 0, command))
        return [self._report(message, event) for event in events]

    def _command(self, sequence: int, message: Message) -> AnyCommand:
        if message.action == "new":
            self._number[message.order_id] = sequence
            self._flow_id[sequence] = message.order_id
            return new_order(message)
        # A number that was never given means an order that never was.
        order_id = self._number.get(message.order_id, 0)
        self._flow_id[order_id] = message.order_id
        if message.action == "cancel":
            return CancelOrder(ACCOUNT, order_id, FLOW_INSTRUMENT, "")
        self._filled_before = self._filled.get(order_id, 0)
        total = self._filled_before + message.quantity
        return AmendOrder(ACCOUNT, order_id, FLOW_INSTRUMENT, total, message.price_ticks, "")

    def _report(self, message: Message, event: AnyVenueEvent) -> str:
        seq, flow_id = message.seq, self._flow_id
        match event:
            case Acknowledged(number, _, side, price_ticks, quantity):
                return f"0,{seq},{_side(side)},{flow_id[number]},{price_ticks},{quantity}"
            case Traded(_, _, price_ticks, quantity, maker, taker):
                self.trades += 1
                for number in (maker, taker):
                    self._filled[number] = self._filled.get(number, 0) + quantity
                return f"1,{seq},{price_ticks},{quantity},{flow_id[maker]},{flow_id[taker]}"
            case Cancelled(number, _, side, price_ticks):
                return f"2,{seq},{_side(side)},{flow_id[number]},{price_ticks}"
            case Amended(number, _, side, price_ticks, total):
                asked = total - self._filled_before
                return f"3,{seq},{_side(side)},{flow_id[number]},{price_ticks},{asked}"
            case CancelRefused(number):
                return f"4,{seq},{flow_id[number]}"
            case AmendRefused(number):
                return f"5,{seq},{flow_id[number]}"
            case _:
                raise AssertionError(event)


def new_order(message: Message) -> NewOrder:
    """The command of a new order."""
    return NewOrder(
        ACCOUNT,
        FLOW_INSTRUMENT,
        message.side,
        OrderType.LIMIT,
        message.price_ticks,
        message.quantity,
        TimeInForce.IOC if message.immediate else TimeInForce.GTC,
        None,
        "",
    )


def _side(side: Side) -> int:
    return 0 if side is Side.BUY else 1

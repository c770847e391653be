"""The file: ``seq,action,order_id,side,price_ticks,quantity,time_in_force``, gzipped or not."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from exchange.base.bounds import MAX_PRICE_TICKS, MAX_QUANTITY, MAX_RECORDED_MESSAGES
from exchange.flow.errors import RecordingError
from exchange.model.types import Side, TimeInForce

TICK_SIZE: Final = 0.005
"""What one of the file's ticks is worth: half a cent."""

COLUMNS: Final = ("seq", "action", "order_id", "side", "price_ticks", "quantity", "time_in_force")

_GZIP_MAGIC: Final = b"\x1f\x8b"

_Number = Annotated[int, Meta(ge=0, le=2**53)]


class Action(Enum):
    """What a message asks for."""

    NEW = "new"
    CANCEL = "cancel"
    AMEND = "amend"


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One row. The quantity of an amend is the new *open* quantity, where the API's is a total.

    A cancel has neither side nor price nor quantity, an amend has no ``time_in_force``.
    """

    seq: _Number
    action: Action
    order_id: _Number
    side: Side = Side.BUY
    price_ticks: Annotated[int, Meta(ge=1, le=MAX_PRICE_TICKS)] = 1
    quantity: Annotated[int, Meta(ge=1, le=MAX_QUANTITY)] = 1
    time_in_force: TimeInForce = TimeInForce.GTC


class Recording(msgspec.Struct, frozen=True):
    """Messages in the order of their ``seq``; no two enter an order under one ``order_id``."""

    messages: tuple[Message, ...]

    @property
    def price_range(self) -> tuple[int, int]:
        """Lowest and highest price, in ticks."""
        prices = [each.price_ticks for each in self.messages if each.action is not Action.CANCEL]
        return (min(prices), max(prices)) if prices else (1, 1)

    @property
    def quantity_range(self) -> tuple[int, int]:
        """Smallest and largest quantity, in lots."""
        quantities = [each.quantity for each in self.messages if each.action is not Action.CANCEL]
        return (min(quantities), max(quantities)) if quantities else (1, 1)

    @property
    def total_quantity(self) -> int:
        """Lots of all orders and amends: no position can be larger."""
        return sum(each.quantity for each in self.messages if each.action is not Action.CANCEL)


def read_recording(path: Path) -> Recording:
    """The messages of ``path``; raises :class:`RecordingError`."""
    try:
        with path.open("rb") as file:
            is_packed = file.read(2) == _GZIP_MAGIC
        with gzip.open(path, "rt", newline="") if is_packed else path.open(newline="") as text:
            return Recording(tuple(_messages(csv.reader(text), path.name)))
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise RecordingError(f"cannot read {path}: {error}") from None


def _messages(rows: Iterator[list[str]], name: str) -> Iterator[Message]:
    if tuple(next(rows, ())) != COLUMNS:
        raise RecordingError(f"{name} is not a recorded flow: its first line is not {','.join(COLUMNS)}")
    entered: set[int] = set()
    last_seq = -1
    for line, row in enumerate(rows, start=2):
        if line > MAX_RECORDED_MESSAGES + 1:
            raise RecordingError(f"{name} has more than {MAX_RECORDED_MESSAGES:,} messages")
        message = _message(row, f"{name}, line {line}")
        if message.seq <= last_seq:
            raise RecordingError(f"{name}, line {line}: seq {message.seq} comes after {last_seq}")
        if message.action is Action.NEW:
            if message.order_id in entered:
                raise RecordingError(f"{name}, line {line}: order_id {message.order_id} is entered twice")
            entered.add(message.order_id)
        last_seq = message.seq
        yield message


def _message(row: list[str], place: str) -> Message:
    if len(row) != len(COLUMNS):
        raise RecordingError(f"{place}: {len(row)} columns, not {len(COLUMNS)}")
    given = {column: cell for column, cell in zip(COLUMNS, row, strict=True) if cell}
    try:
        message = msgspec.convert(given, Message, strict=False)
    except msgspec.ValidationError as error:
        raise RecordingError(f"{place}: {error}") from None
    missing = _NEEDED[message.action] - given.keys()
    if missing:
        raise RecordingError(f"{place}: {', '.join(sorted(missing))} is missing")
    return message


_NEEDED: Final = {
    Action.NEW: frozenset(("side", "price_ticks", "quantity", "time_in_force")),
    Action.AMEND: frozenset(("price_ticks", "quantity")),
    Action.CANCEL: frozenset[str](),
}

"""Bugs to plant in the exchange, one at a time: the simulation is worth what it finds of these.

A plant is a change to the text of one or two functions of the exchange, made in memory. A text that is no
longer there fails, so that a plant can't come to nothing when the code moves on.
"""

from __future__ import annotations
import __future__

import inspect
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

from exchange.engine.auction import _Fills
from exchange.engine.book import BookSide
from exchange.engine.matching import Matcher
from exchange.journal.memory import MemoryJournal
from exchange.pipeline.book_feed import BookFeed
from exchange.pipeline.core import Core
from exchange.pipeline.guards import Guards
from exchange.pipeline.hub import Hub
from exchange.pipeline.market_clock import MarketClock
from exchange.pipeline.validate import ValidateStage
from exchange.services.orders.register import OrderRegister
from exchange.services.positions.fees import FeeSchedule
from exchange.services.settlement import settlement as settling
from exchange.services.settlement.streams import StreamNumbers
from exchange.services.validation.acts import Acts
from exchange.services.validation.admission import Admission
from exchange.services.validation.limits import Position


class Change(NamedTuple):
    """In the function ``name`` of ``owner``, a class or a module, ``old`` becomes ``new``."""

    owner: Any
    name: str
    old: str
    new: str


class Plant(NamedTuple):
    """A bug and what it is made of."""

    name: str
    changes: tuple[Change, ...]


def _plant(name: str, *changes: tuple[Any, str, str, str]) -> Plant:
    return Plant(name, tuple(Change(*each) for each in changes))


Settlement = settling.Settlement

PLANTS = (
    # --- the book
    _plant(
        "time priority lost at equal prices",
        (
            Matcher,
            "enter",
            "entry = order_id + (price_ticks << PRIORITY_BITS)",
            "entry = (1 << 30) - order_id + (price_ticks << PRIORITY_BITS)",
        ),
    ),
    _plant(
        "lowered order loses its place",
        (Matcher, "amend", "quantity <= order.quantity:", "quantity == order.quantity:"),
    ),
    _plant(
        "remainder of an immediate order rests", (Matcher, "enter", "if rests:", "if rests or remaining:")
    ),
    _plant(
        "fill at the taker's price",
        (
            Matcher,
            "_match",
            "trade_id, instrument_id, price, traded, maker_id",
            "trade_id, instrument_id, abs(entry - order_id) >> PRIORITY_BITS, traded, maker_id",
        ),
    ),
    _plant(
        "cancelled order fills",
        (BookSide, "take_out", "    del queue[entry]\n", ""),
    ),
    _plant(
        "self-trade goes through",
        (Matcher, "_match", "barred = account if self._prevent else _NOBODY", "barred = _NOBODY"),
    ),
    _plant(
        "uncross leaves a filled order in the book",
        (_Fills, "take", "del self._queue[order.entry]", "order.remaining = 1"),
    ),
    # --- settlement
    _plant(
        "maker is not told of its fill",
        (
            Settlement,
            "_traded",
            "told.append(self._fill(event, event.maker_order_id, maker, made, timestamp_us))",
            "self._fill(event, event.maker_order_id, maker, made, timestamp_us)",
        ),
    ),
    _plant(
        "sign of a fee flipped",
        (FeeSchedule, "fee", "return fees.taker * quantity", "return -fees.taker * quantity"),
    ),
    _plant(
        "reservation is not released on cancel",
        (
            Settlement,
            "_cancelled",
            "self._exposure.release(account, instrument_id, side, event.remaining)",
            "pass",
        ),
    ),
    _plant(
        "both sides of a trade have one exec_id",
        (Settlement, "_fill", "2 * event.trade_id - (not is_taker)", "2 * event.trade_id"),
    ),
    _plant(
        "self-trade is booked on one side",
        (
            Settlement,
            "_traded",
            "    told.append(self._fill(event, event.taker_order_id, taker, took, timestamp_us))",
            "    if taker != maker:\n"
            "        told.append(self._fill(event, event.taker_order_id, taker, took, timestamp_us))",
        ),
    ),
    _plant(
        "number of a stream is skipped",
        (StreamNumbers, "take", "= number", "= number + (number == 50)"),
    ),
    # --- admission
    _plant(
        "resend is a new order",
        (Admission, "_resend", "if known is None:", "if known is None or order.quantity > 5:"),
        (
            OrderRegister,
            "_remember",
            'assert client_order_id not in team.known, "a known client order id is a resend, not an order"',
            "",
        ),
    ),
    _plant(
        "open orders do not count towards the limit",
        (Position, "check", "+ open_quantity + increase <=", "+ increase <="),
    ),
    _plant(
        "amend reserves nothing for what it adds",
        (Admission, "_increase", "return max(", "return 0 and max("),
    ),
    _plant(
        "phase of the market day is not asked",
        (Admission, "_judge_own_phase", ".submit:", ".cancel:"),
    ),
    _plant(
        "any phase may follow any other",
        (Acts, "_judge_phase", "if phases.may_enter(act.phase, instrument_id):", "if True:"),
    ),
    # --- the journal and what is made of it
    _plant(
        "acknowledged before it is durable",
        (ValidateStage, "_write", "    try:\n", "    self._tell_durable(accepted)\n    try:\n"),
    ),
    _plant(
        "matched before it is durable",
        (
            ValidateStage,
            "_process",
            "    durable = not accepted or await self._write(accepted)\n",
            "    for item in accepted[:1]:\n"
            "        await self._match_queue.put(item)\n"
            "    durable = not accepted or await self._write(accepted)\n"
            "    accepted = accepted[1:]\n",
        ),
    ),
    _plant(
        "commit is reported before it is kept",
        (
            MemoryJournal,
            "crash",
            "return list(self._batches)",
            "return list(self._batches)[: max(1, len(self._batches) - 1)]",
        ),
    ),
    _plant(
        "disk error is taken for a success",
        (
            ValidateStage,
            "_write",
            "        self._log.critical(",
            "        self._tell_durable(accepted)\n        return True\n        self._log.critical(",
        ),
    ),
    _plant(
        "replay derives system commands again",
        (
            Core,
            "replay",
            "return self.settlement.settle(record, self.venue.apply(record))",
            "settled = self.settlement.settle(record, self.venue.apply(record))\n"
            "        for wish in settled.wishes:\n"
            "            self.settlement.settle(record, self.venue._cancel_orders(record.sequence, wish))\n"
            "        return settled",
        ),
    ),
    _plant(
        "phase by the clock is not journaled",
        (
            MarketClock,
            "_enter",
            "self._submit(command)",
            "self._phases.apply(command, self._clock.now_us())",
        ),
    ),
    # --- streams and connections
    _plant(
        "resume leaves out one message",
        (
            Hub,
            "_owed",
            "[connection.frame(message) for message in messages]",
            "[connection.frame(message) for message in messages[len(messages) > 1 :]]",
        ),
    ),
    _plant(
        "slow reader misses messages",
        (Hub, "_close_slow", "self.close(connection, TOO_SLOW", "(lambda *_: None)(connection, TOO_SLOW"),
    ),
    _plant(
        "level that is gone is not told",
        (
            BookFeed,
            "_kept_update",
            "self._priced(bids.items())",
            "self._priced(each for each in bids.items() if each[1])",
        ),
    ),
    _plant(
        "disconnect cancels nothing",
        (Guards, "lost", "self._cancel_soon(account)", "pass"),
    ),
)
BY_NAME = {each.name: each for each in PLANTS}


@contextmanager
def planted(plant: Plant) -> Iterator[None]:
    """The exchange with this bug; as it was afterwards."""
    with ExitStack() as stack:
        for change in plant.changes:
            stack.enter_context(patch.object(change.owner, change.name, _changed(change)))
        yield


def _changed(change: Change) -> Any:
    function = inspect.getattr_static(change.owner, change.name)
    source = textwrap.dedent(inspect.getsource(function))
    found = source.count(change.old)
    assert found == 1, f"{change.owner.__name__}.{change.name} has {change.old!r} {found} times"
    code = compile(
        source.replace(change.old, change.new),
        inspect.getfile(function),
        "exec",
        flags=__future__.annotations.compiler_flag,
        dont_inherit=True,
    )
    namespace: dict[str, Any] = {}
    exec(code, function.__globals__, namespace)
    return namespace[change.name]

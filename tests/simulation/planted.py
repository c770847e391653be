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

from exchange.engine import controls, venue
from exchange.engine.auction import _Fills
from exchange.engine.book import Book, BookSide, RestingOrder
from exchange.engine.matching import Matcher
from exchange.engine.protection import Protections
from exchange.engine.stops import StopBook
from exchange.journal.memory import MemoryJournal
from exchange.model.phases import MarketPhases
from exchange.pipeline.batch_clock import BatchClock
from exchange.pipeline.core import Core
from exchange.pipeline.expiry_clock import ExpiryClock
from exchange.pipeline.guards import Guards
from exchange.pipeline.hub import Hub
from exchange.pipeline.ladder import Ladder
from exchange.pipeline.market_clock import MarketClock
from exchange.pipeline.validate import ValidateStage
from exchange.services.orders.register import OrderRegister
from exchange.services.positions.fees import FeeSchedule
from exchange.services.settlement import settlement as settling
from exchange.services.settlement.streams import StreamNumbers
from exchange.services.validation.acts import Acts
from exchange.services.validation.admission import Admission
from exchange.services.validation.controls import Controls
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
            "entry = place + (price_ticks << PRIORITY_BITS)",
            "entry = (1 << 30) - place + (price_ticks << PRIORITY_BITS)",
        ),
    ),
    _plant(
        "lowered order loses its place",
        (venue, "amend", "quantity <= order.quantity:", "quantity == order.quantity:"),
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
        (Matcher, "enter", "barred = account if self._prevents else _NOBODY", "barred = _NOBODY"),
    ),
    _plant(
        "uncross leaves a filled order in the book",
        (_Fills, "take", "del self._queue[order.entry]", "order.remaining = 1"),
    ),
    # --- orders with terms
    _plant(
        "iceberg keeps its place when it refills",
        (
            Matcher,
            "_refill",
            "    order.entry = (\n",
            "    _ = (\n",
        ),
    ),
    _plant(
        "iceberg shows all of its lots",
        (RestingOrder, "show", "min(shown, left)", "left"),
    ),
    _plant(
        "stop is triggered from the wrong side",
        (StopBook, "_reach", "heap[0][0] <= level", "heap[0][0] >= level"),
    ),
    _plant(
        "fill-or-kill order is filled in part",
        (controls, "enter", "and not _can_fill(matcher, aggressor)", "and False"),
    ),
    _plant(
        "post-only order takes",
        (
            controls,
            "enter",
            "allowed = matcher.post_only_price(post_only, side, price_ticks)",
            "allowed = price_ticks",
        ),
    ),
    _plant(
        "decrement frees too much",
        (
            Settlement,
            "_decremented",
            "self._exposure.release(command.account, command.instrument_id, command.side, freed)",
            "self._exposure.release(command.account, command.instrument_id, command.side, freed + 1)",
        ),
    ),
    _plant(
        "order outlives its date",
        (ExpiryClock, "check", "if next_us is not None and next_us <= now_us:", "if False:"),
    ),
    _plant(
        "reduce-only looks at the position alone",
        (Controls, "judge_reduction", "if open_quantity + increase <=", "if increase <="),
    ),
    _plant(
        "stops are no part of a snapshot",
        (Book, "load", "self.stops.load(snapshot.stops)", "pass"),
    ),
    # --- quotes and batches
    _plant(
        "frozen group goes on quoting",
        (
            Protections,
            "is_frozen",
            "return protection is not None and now_us < protection.frozen_until_us",
            "return False",
        ),
    ),
    _plant(
        "protection counts the last fill of a side alone",
        (
            Protections,
            "take",
            "frozen.update(dict.fromkeys(self._traded(event, now_us)))\n",
            "frozen.update(dict.fromkeys(self._traded(event, now_us)))\n"
            "            self._forget_filled({event.maker_order_id: event.instrument_id}, is_live)\n"
            "            self._forget_filled({event.taker_order_id: event.instrument_id}, is_live)\n",
        ),
    ),
    _plant(
        "quote is left by half when one side is refused",
        (
            Admission,
            "_judge_quote",
            "        if refusal is not None:\n            return refusal\n",
            "        if refusal is not None:\n"
            "            return [each for each in commands if each is not command]\n",
        ),
    ),
    _plant(
        "batched instrument trades at once",
        (
            MarketPhases,
            "is_call",
            "(instrument_id in self._batched and rule.match is Matching.CONTINUOUS)",
            "False",
        ),
    ),
    _plant(
        "batch is never ended",
        (BatchClock, "check", "if self._venue.wants_uncross(instrument_id):", "if False:"),
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
            "return self.settlement.settle(record, events)",
            "settled = self.settlement.settle(record, events)\n"
            "        for wish in settled.wishes:\n"
            "            again = Record(record.sequence, record.timestamp_us, wish)\n"
            "            for derived in self.venue.steps(again):\n"
            "                self.settlement.settle(record, derived)\n"
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
        (Ladder, "seen_changes", "seen.append((key * sign, 0))", "pass"),
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

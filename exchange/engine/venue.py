"""The venue: one book per instrument, the phase of the market, and what each command does to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeAlias

import msgspec

from exchange.base.bounds import MAX_TRIGGERED_STOPS
from exchange.engine import controls
from exchange.engine.amending import amend
from exchange.engine.auction import Clearing, indicative, uncross
from exchange.engine.bands import market_order_price, price_bands
from exchange.engine.book import (
    MARKET_ASK,
    MARKET_BID,
    MAX_SEQUENCE,
    BestPrices,
    Book,
    BookSnapshot,
    Depth,
)
from exchange.engine.endings import cancel_within, close_all, close_day, expire, matchers_within, named
from exchange.engine.expiries import Expiries, Expiry
from exchange.engine.matching import Matcher, VenueCounters
from exchange.engine.order_view import RestingLots
from exchange.engine.protection import Protection, Protections, ProtectionsSnapshot
from exchange.engine.stops import StopOrder
from exchange.model.commands import (
    AmendOrder,
    AnyCommand,
    CancelOrder,
    CancelOrders,
    CancelScope,
    DisableTeam,
    ExpireOrders,
    NewOrder,
    Record,
    SetPhase,
    SetProtection,
    TriggerStops,
    Uncross,
)
from exchange.model.events import AnyVenueEvent, PhaseChanged, StopsWaiting
from exchange.model.phases import MarketPhases, Matching, PhasesSnapshot, batched_instruments, first_phase
from exchange.model.rules import ClosingCancels, GameRules
from exchange.model.types import CancelReason, Phase, Side, TimeInForce

_IOC, _FOK = TimeInForce.IOC, TimeInForce.FOK
_NO_LIQUIDITY = CancelReason.NO_LIQUIDITY
_EVERYWHERE = (CancelScope(),)


class VenueStatistics(msgspec.Struct, frozen=True):
    """Sizes over all books; ``dead_entries`` are those of ``heap_entries`` whose order is gone."""

    live_orders: int
    heap_entries: int
    dead_entries: int


class VenueSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """The whole venue; books in the order of the rules."""

    phases: PhasesSnapshot
    counters: VenueCounters
    protections: ProtectionsSnapshot
    books: list[BookSnapshot]
    now_us: int


class Venue:
    """A function of the records applied to it. What validate lets through, it never refuses: it asserts."""

    def __init__(self, rules: GameRules) -> None:
        self._phases = MarketPhases(first_phase(rules), batched_instruments(rules))
        self._counters = VenueCounters()
        # A game that keeps orders overnight has to know which of them to end.
        self._day = TimeInForce.DAY if rules.closing.cancels is ClosingCancels.DAY else None
        self._bands = price_bands(rules)
        self._books = {
            each.instrument_id: Book(each.instrument_id, each.first_price_ticks) for each in rules.instruments
        }
        self._matchers = {
            instrument_id: Matcher(book, self._counters, rules.self_trade_prevention)
            for instrument_id, book in self._books.items()
        }
        self._expiries = Expiries(lambda each: self._is_live(each.account, each.instrument_id, each.order_id))
        self._protections = Protections()
        self._protected = self._protections.orders
        self._now_us = 0
        self._follow_phases(self._matchers.values())

    def apply(self, record: Record) -> list[AnyVenueEvent]:
        """Carry out a command; gives its events in the order in which they happened."""
        assert 0 < record.sequence <= MAX_SEQUENCE
        command = record.command
        handle = _HANDLERS.get(type(command))
        if handle is None:
            return [event for events in self.steps(record) for event in events]
        self._now_us = record.timestamp_us
        events = handle(self, record.sequence, command)
        return self._protect(events) if self._protected else events

    def steps(self, record: Record) -> Iterator[list[AnyVenueEvent]]:
        """The same in slices, for a command that may take long. Nothing else may be applied in between.

        What is read meanwhile is each book from before its uncross; all slices are to be taken. There is one
        at least, since somebody may wait for an answer.
        """
        command = record.command
        if type(command) in _HANDLERS:
            yield self.apply(record)
            return
        self._now_us = record.timestamp_us
        is_empty = True
        for events in self._in_steps(record):
            is_empty = False
            yield self._protect(events) if self._protected else events
        if is_empty:
            yield []

    def _in_steps(self, record: Record) -> Iterable[list[AnyVenueEvent]]:
        match command := record.command:
            case SetPhase():
                return self._set_phase(record, command)
            case ExpireOrders():
                return expire(self._matchers, self._expiries.due(command.due_us))
            case Uncross():
                return self._uncross_batch(record.sequence, command.instrument_id)
            case CancelOrders():
                return cancel_within(self._matchers, command.account, command.scopes, command.reason)
            case DisableTeam() if command.disabled:
                account, reason = command.account, CancelReason.TEAM_DISABLED
                return cancel_within(self._matchers, account, _EVERYWHERE, reason)
        return ()

    def _set_phase(self, record: Record, command: SetPhase) -> Iterator[list[AnyVenueEvent]]:
        phases, instrument_id = self._phases, command.instrument_id
        phases.apply(command, record.timestamp_us)
        phase = phases.market.phase if instrument_id is None else phases.of(instrument_id)
        yield [PhaseChanged(phase, command.reason, instrument_id)]
        if command.phase is Phase.CLOSED:
            yield from close_all(self._matchers) if self._day is None else close_day(self._matchers)
        for matcher in matchers_within(self._matchers, instrument_id):
            rule = phases.rule_of(matcher.book.instrument_id)
            if rule.ends_calls:
                yield from uncross(matcher, record.sequence)
            is_continuous = rule.match is Matching.CONTINUOUS
            matcher.in_call = not is_continuous or phases.is_call(matcher.book.instrument_id)
            if matcher.stops.orders:
                yield self._trigger_stops(matcher, record.sequence)

    def _uncross_batch(self, sequence: int, instrument_id: str) -> Iterator[list[AnyVenueEvent]]:
        # By now the instrument may be halted, or the market closed: then there is no batch to end.
        matcher = self._matchers[instrument_id]
        if self._may_trade(instrument_id):
            yield from uncross(matcher, sequence)
            if matcher.stops.orders:
                yield self._trigger_stops(matcher, sequence)

    def _may_trade(self, instrument_id: str) -> bool:
        return self._phases.rule_of(instrument_id).match is Matching.CONTINUOUS

    # --- reading ------------------------------------------------------------------------------------

    @property
    def phase(self) -> Phase:
        """The phase of the market."""
        return self._phases.market.phase

    def best(self, instrument_id: str) -> BestPrices:
        """Best bid and offer with their lots."""
        return self._books[instrument_id].best()

    def depth(self, instrument_id: str, levels: int) -> Depth:
        """At most ``levels`` levels a side, best first."""
        return self._books[instrument_id].depth(levels)

    def resting(self, instrument_id: str) -> Iterator[RestingLots]:
        """Every order at rest, each side in priority."""
        book = self._books[instrument_id]
        for side in (book.bids, book.asks):
            for order in side.orders():
                yield RestingLots(
                    order.order_id, order.side, order.price_ticks, order.remaining, order.reserve
                )

    def indicative(self, instrument_id: str) -> Clearing | None:
        """What an uncross would come to now; None where no call is on, or nothing would trade."""
        return indicative(self._books[instrument_id]) if self._phases.is_call(instrument_id) else None

    def is_call(self, instrument_id: str) -> bool:
        """Whether orders rest until an uncross."""
        return self._phases.is_call(instrument_id)

    def wants_uncross(self, instrument_id: str) -> bool:
        """Whether a batch auction would do anything: orders cross, or some are for this auction alone."""
        book = self._books[instrument_id]
        return (book.crosses or book.has_auction_only) and self._may_trade(instrument_id)

    def phase_of(self, instrument_id: str) -> Phase:
        """The phase of one instrument."""
        return self._phases.of(instrument_id)

    def reference(self, instrument_id: str) -> int:
        """Price in ticks of the last trade; before any, the first price of the instrument."""
        return self._books[instrument_id].last_trade_ticks

    @property
    def next_expiry_us(self) -> int | None:
        """When the next order that is good till a date ends."""
        return self._expiries.next_us

    def is_frozen(self, account: int, quote_group: str, now_us: int) -> bool:
        """Whether protection has ended the quotes of this group and keeps new ones out."""
        return self._protections.is_frozen(account, quote_group, now_us)

    def protection(self, account: int, quote_group: str) -> Protection | None:
        """The protection of a group of quotes, to read."""
        return self._protections.of(account, quote_group)

    def waiting_stops(self) -> list[str]:
        """Instruments with stops that were reached and are still to take their turn, though they could."""
        return [
            instrument_id
            for instrument_id, matcher in self._matchers.items()
            if matcher.stops.has_reached and self._may_trade(instrument_id)
        ]

    def band(self, instrument_id: str) -> tuple[int, int] | None:
        """Lowest and highest price in ticks an order may have; None where bands are disabled."""
        band = self._bands.get(instrument_id)
        if band is None:
            return None
        underlying_id = band.underlying_id
        underlying_ticks = 0 if underlying_id is None else self.reference(underlying_id)
        return band.around(self.reference(instrument_id), underlying_ticks)

    def state(self) -> object:
        """Canonical content for the state hash: equal for equal venues, however they came about."""
        protections = self._protections.state()
        return [
            self._phases.state(),
            self._counters,
            protections,
            [book.state() for book in self._books.values()],
        ]

    def snapshot(self) -> VenueSnapshot:
        """Everything, to be encoded before the next command: it is not a copy."""
        books = [book.snapshot() for book in self._books.values()]
        phases, protections = self._phases.snapshot(), self._protections.snapshot()
        return VenueSnapshot(phases, self._counters, protections, books, self._now_us)

    def load(self, snapshot: VenueSnapshot) -> None:
        """Take over a snapshot, as an empty venue with the same rules."""
        self._phases.load(snapshot.phases)
        self._protections.load(snapshot.protections)
        self._counters.trade_id = snapshot.counters.trade_id
        self._counters.extra_places = snapshot.counters.extra_places
        self._now_us = snapshot.now_us
        for book, saved in zip(self._books.values(), snapshot.books, strict=True):
            assert book.instrument_id == saved.instrument_id
            book.load(saved)
            for expiry in book.expiries():
                self._expiries.add(expiry)
        self._follow_phases(self._matchers.values())

    def statistics(self) -> VenueStatistics:
        """Sizes of the books, for metrics."""
        sides = [side for book in self._books.values() for side in (book.bids, book.asks)]
        return VenueStatistics(
            live_orders=sum(len(side.queue) for side in sides),
            heap_entries=sum(len(side.heap) for side in sides),
            dead_entries=sum(side.dead for side in sides),
        )

    # --- one command each ---------------------------------------------------------------------------

    def _new_order(self, sequence: int, order: NewOrder) -> list[AnyVenueEvent]:
        matcher, price_ticks, time_in_force = (
            self._matchers[order.instrument_id],
            order.price_ticks,
            order.time_in_force,
        )
        if order.terms is not None or time_in_force is _FOK or time_in_force is self._day:
            events = self._new_order_with_terms(sequence, order, matcher)
        elif matcher.in_call:
            events = self._hold(sequence, order, matcher)
        elif price_ticks is None:
            price_ticks = market_order_price(order.side, self.band(order.instrument_id))
            events = matcher.enter(
                sequence, order.account, order.side, price_ticks, order.quantity, False, _NO_LIQUIDITY
            )
        else:
            rests = time_in_force is not _IOC
            events = matcher.enter(sequence, order.account, order.side, price_ticks, order.quantity, rests)
        if matcher.stops.orders:
            events += self._trigger_stops(matcher, sequence)
        return events

    def _new_order_with_terms(self, sequence: int, order: NewOrder, matcher: Matcher) -> list[AnyVenueEvent]:
        terms = order.all_terms
        expires_at_us, quote_group = terms.expires_at_us, terms.quote_group
        if quote_group is not None:
            if self._protections.is_frozen(order.account, quote_group, self._now_us):
                return controls.refuse(sequence, order, CancelReason.MARKET_MAKER_PROTECTION)
            self._protections.entered(sequence, order.account, quote_group)
        if order.order_type.is_stop:
            assert self._phases.rule_of(order.instrument_id).submit
            events = controls.park(matcher, sequence, order)
        elif matcher.in_call:
            events = self._hold(sequence, order, matcher)
        else:
            events = controls.enter(matcher, sequence, order, self._limit(order), self._is_day(order))
        if expires_at_us is not None:
            self._expiries.add(Expiry(expires_at_us, sequence, order.account, order.instrument_id))
        return events

    def _limit(self, order: NewOrder) -> int:
        if order.price_ticks is not None:
            return order.price_ticks
        return market_order_price(order.side, self.band(order.instrument_id))

    def _is_day(self, order: NewOrder) -> bool:
        # A quote is for the day whatever it says.
        return order.time_in_force is self._day or order.all_terms.quote_group is not None

    def _hold(self, sequence: int, order: NewOrder, matcher: Matcher) -> list[AnyVenueEvent]:
        assert self._phases.rule_of(order.instrument_id).submit
        price_ticks = order.price_ticks
        return matcher.hold(
            sequence,
            order.account,
            order.side,
            _unpriced(order.side) if price_ticks is None else price_ticks,
            order.quantity,
            not order.can_rest,
            order.terms,
            self._is_day(order),
        )

    def _trigger_stops(self, matcher: Matcher, sequence: int) -> list[AnyVenueEvent]:
        """Let reached stops take their turn, each as part of the command that reached it."""
        events: list[AnyVenueEvent] = []
        stops = matcher.stops
        if not self._may_trade(matcher.book.instrument_id):
            return events
        stops.reach(matcher.book.last_trade_ticks)
        for _ in range(MAX_TRIGGERED_STOPS):
            stop = stops.next()
            if stop is None:
                return events
            events += controls.trigger(
                matcher, sequence, stop, self._stop_limit(stop), self._is_day(stop.command)
            )
            stops.reach(matcher.book.last_trade_ticks)
        if stops.has_reached:
            events.append(StopsWaiting(matcher.book.instrument_id))
        return events

    def _stop_limit(self, stop: StopOrder) -> int:
        if stop.price_ticks is not None:
            return stop.price_ticks
        side, instrument_id = stop.command.side, stop.command.instrument_id
        if self._matchers[instrument_id].in_call:
            return _unpriced(side)
        return market_order_price(side, self.band(instrument_id))

    def _cancel_order(self, _sequence: int, command: CancelOrder) -> list[AnyVenueEvent]:
        return self._matchers[command.instrument_id].cancel(command.account, command.order_id)

    def _amend_order(self, sequence: int, command: AmendOrder) -> list[AnyVenueEvent]:
        assert self._phases.is_plain or self._phases.rule_of(command.instrument_id).submit
        matcher = self._matchers[command.instrument_id]
        events = amend(
            matcher,
            sequence,
            command.account,
            command.order_id,
            command.quantity,
            command.price_ticks,
            command.stop_price_ticks,
        )
        if matcher.stops.orders:
            events += self._trigger_stops(matcher, sequence)
        return events

    def _set_protection(self, _sequence: int, command: SetProtection) -> list[AnyVenueEvent]:
        account, scope = command.account, CancelScope(quote_group=command.quote_group)
        live = [
            order_id for matcher in self._matchers.values() for order_id in named(matcher, account, scope)
        ]
        self._protections.set(command, live)
        return []

    def _protect(self, events: list[AnyVenueEvent]) -> list[AnyVenueEvent]:
        """What market-maker protection adds to the events of a command."""
        for account, quote_group in self._protections.take(events, self._now_us, self._is_live):
            scopes, reason = (CancelScope(quote_group=quote_group),), CancelReason.MARKET_MAKER_PROTECTION
            for cancelled in cancel_within(self._matchers, account, scopes, reason):
                events += cancelled
        return events

    def _trigger(self, sequence: int, command: TriggerStops) -> list[AnyVenueEvent]:
        return self._trigger_stops(self._matchers[command.instrument_id], sequence)

    # ------------------------------------------------------------------------------------------------

    def _follow_phases(self, matchers: Iterable[Matcher]) -> None:
        for matcher in matchers:
            instrument_id = matcher.book.instrument_id
            matcher.in_call = not self._may_trade(instrument_id) or self._phases.is_call(instrument_id)

    def _is_live(self, account: int, instrument_id: str, order_id: int) -> bool:
        matcher = self._matchers[instrument_id]
        return order_id in matcher.book.by_account.get(account, {}) or order_id in matcher.stops.orders


def _unpriced(side: Side) -> int:
    """Where an order without a price waits for an auction."""
    return MARKET_BID if side is Side.BUY else MARKET_ASK


_Handler: TypeAlias = Callable[[Venue, int, Any], list[AnyVenueEvent]]

_HANDLERS: Final[dict[type[AnyCommand], _Handler]] = {
    NewOrder: Venue._new_order,
    CancelOrder: Venue._cancel_order,
    AmendOrder: Venue._amend_order,
    TriggerStops: Venue._trigger,
    SetProtection: Venue._set_protection,
}
"""What IN_STEPS names has steps; every other command means nothing to the venue."""

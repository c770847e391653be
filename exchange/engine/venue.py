"""The venue: one book per instrument, the phase of the market, and what each command does to them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import attrgetter
from typing import Any, Final, TypeAlias

import msgspec

from exchange.base.bounds import AUCTION_SLICE
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
from exchange.engine.matching import Matcher, TradeCounter
from exchange.model.commands import (
    AmendOrder,
    AnyCommand,
    CancelOrder,
    CancelOrders,
    CancelScope,
    DisableTeam,
    NewOrder,
    Record,
    SetPhase,
)
from exchange.model.events import AnyVenueEvent, Cancelled, PhaseChanged
from exchange.model.phases import MarketPhases, Matching, PhasesSnapshot, first_phase
from exchange.model.rules import GameRules
from exchange.model.types import CancelReason, Phase, SelfTradePrevention, Side, TimeInForce

_IOC = TimeInForce.IOC
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
    last_trade_id: int
    books: list[BookSnapshot]


class Venue:
    """A function of the records applied to it. What validate lets through, it never refuses: it asserts."""

    def __init__(self, rules: GameRules) -> None:
        prevent = rules.self_trade_prevention is SelfTradePrevention.CANCEL_TAKER
        self._phases = MarketPhases(first_phase(rules))
        self._trades = TradeCounter()
        self._bands = price_bands(rules)
        self._books = {
            each.instrument_id: Book(each.instrument_id, each.first_price_ticks) for each in rules.instruments
        }
        self._matchers = {
            instrument_id: Matcher(book, self._trades, prevent) for instrument_id, book in self._books.items()
        }
        self._follow_phases(self._matchers.values())

    def apply(self, record: Record) -> list[AnyVenueEvent]:
        """Carry out a command; gives its events in the order in which they happened."""
        assert 0 < record.sequence <= MAX_SEQUENCE
        command = record.command
        handle = _HANDLERS.get(type(command))
        if handle is None:
            return [event for events in self.steps(record) for event in events]
        return handle(self, record.sequence, command)

    def steps(self, record: Record) -> Iterator[list[AnyVenueEvent]]:
        """The same in slices, for a command that may take long. Nothing else may be applied in between.

        What is read meanwhile is each book from before its uncross; all slices are to be taken.
        """
        command = record.command
        if not isinstance(command, SetPhase):
            if type(command) in _HANDLERS:
                yield self.apply(record)
            return
        phases, instrument_id = self._phases, command.instrument_id
        phases.apply(command, record.timestamp_us)
        phase = phases.market.phase if instrument_id is None else phases.of(instrument_id)
        yield [PhaseChanged(phase, command.reason, instrument_id)]
        if command.phase is Phase.CLOSED:
            yield from self._cancel_all()
        for matcher in self._matchers_within(CancelScope(instrument_id)):
            rule = phases.rule_of(matcher.book.instrument_id)
            if rule.ends_calls:
                yield from uncross(matcher, self._trades, record.sequence)
            matcher.in_call = rule.match is not Matching.CONTINUOUS

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

    def indicative(self, instrument_id: str) -> Clearing | None:
        """What an uncross would come to now; None where no call is on, or nothing would trade."""
        is_call = self._phases.rule_of(instrument_id).is_call
        return indicative(self._books[instrument_id]) if is_call else None

    def phase_of(self, instrument_id: str) -> Phase:
        """The phase of one instrument."""
        return self._phases.of(instrument_id)

    def reference(self, instrument_id: str) -> int:
        """Price in ticks of the last trade; before any, the first price of the instrument."""
        return self._books[instrument_id].last_trade_ticks

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
        return [self._phases.state(), self._trades.last, [book.state() for book in self._books.values()]]

    def snapshot(self) -> VenueSnapshot:
        """Everything, to be encoded before the next command: it is not a copy."""
        books = [book.snapshot() for book in self._books.values()]
        return VenueSnapshot(self._phases.snapshot(), self._trades.last, books)

    def load(self, snapshot: VenueSnapshot) -> None:
        """Take over a snapshot, as an empty venue with the same rules."""
        self._phases.load(snapshot.phases)
        self._trades.last = snapshot.last_trade_id
        for book, saved in zip(self._books.values(), snapshot.books, strict=True):
            assert book.instrument_id == saved.instrument_id
            book.load(saved)
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
        matcher, price_ticks = self._matchers[order.instrument_id], order.price_ticks
        if not self._phases.is_plain and matcher.in_call:
            return self._hold(sequence, order, matcher)
        if price_ticks is None:
            price_ticks = market_order_price(order.side, self.band(order.instrument_id))
            return matcher.enter(
                sequence, order.account, order.side, price_ticks, order.quantity, False, _NO_LIQUIDITY
            )
        rests = order.time_in_force is not _IOC
        return matcher.enter(sequence, order.account, order.side, price_ticks, order.quantity, rests)

    def _hold(self, sequence: int, order: NewOrder, matcher: Matcher) -> list[AnyVenueEvent]:
        assert self._phases.rule_of(order.instrument_id).submit
        price_ticks = order.price_ticks
        if price_ticks is None:
            price_ticks = MARKET_BID if order.side is Side.BUY else MARKET_ASK
        return matcher.hold(
            sequence, order.account, order.side, price_ticks, order.quantity, not order.can_rest
        )

    def _cancel_order(self, _sequence: int, command: CancelOrder) -> list[AnyVenueEvent]:
        return self._matchers[command.instrument_id].cancel(command.account, command.order_id)

    def _amend_order(self, sequence: int, command: AmendOrder) -> list[AnyVenueEvent]:
        assert self._phases.is_plain or self._phases.rule_of(command.instrument_id).submit
        return self._matchers[command.instrument_id].amend(
            sequence, command.account, command.order_id, command.quantity, command.price_ticks
        )

    def _cancel_orders(self, _sequence: int, command: CancelOrders) -> list[AnyVenueEvent]:
        return self._cancel_within(command.account, command.scopes, command.reason)

    def _disable_team(self, _sequence: int, command: DisableTeam) -> list[AnyVenueEvent]:
        if not command.disabled:
            return []
        return self._cancel_within(command.account, _EVERYWHERE, CancelReason.TEAM_DISABLED)

    # ------------------------------------------------------------------------------------------------

    def _cancel_within(
        self, account: int, scopes: Iterable[CancelScope], reason: CancelReason
    ) -> list[AnyVenueEvent]:
        found = {
            order.order_id: matcher
            for scope in scopes
            for matcher in self._matchers_within(scope)
            for order in matcher.book.by_account.get(account, {}).values()
            if scope.side is None or scope.side is order.side
        }
        return [
            event
            for order_id, matcher in sorted(found.items())
            for event in matcher.cancel(account, order_id, reason)
        ]

    def _follow_phases(self, matchers: Iterable[Matcher]) -> None:
        for matcher in matchers:
            rule = self._phases.rule_of(matcher.book.instrument_id)
            matcher.in_call = rule.match is not Matching.CONTINUOUS

    def _matchers_within(self, scope: CancelScope) -> Iterable[Matcher]:
        if scope.instrument_id is None:
            return self._matchers.values()
        return (self._matchers[scope.instrument_id],)

    def _cancel_all(self) -> Iterator[list[AnyVenueEvent]]:
        # Books are emptied whole: taking out order by order would hold the loop three times as long.
        cancelled: list[AnyVenueEvent] = [
            Cancelled(
                order.order_id,
                book.instrument_id,
                order.side,
                order.price_ticks,
                order.remaining,
                CancelReason.MARKET_CLOSE,
            )
            for book in self._books.values()
            for order in book.clear()
        ]
        cancelled.sort(key=attrgetter("order_id"))
        for first in range(0, len(cancelled), AUCTION_SLICE):
            yield cancelled[first : first + AUCTION_SLICE]


_Handler: TypeAlias = Callable[[Venue, int, Any], list[AnyVenueEvent]]

_HANDLERS: Final[dict[type[AnyCommand], _Handler]] = {
    NewOrder: Venue._new_order,
    CancelOrder: Venue._cancel_order,
    AmendOrder: Venue._amend_order,
    CancelOrders: Venue._cancel_orders,
    DisableTeam: Venue._disable_team,
}
"""A phase is set in steps; every other command means nothing to the venue."""

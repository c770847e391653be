"""Holds everything the exchange does against the oracle and the naive books, command by command."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from exchange.app import Exchange
from exchange.engine.book import Book
from exchange.model.answers import OrderAnswer, OrderReport
from exchange.model.commands import (
    AmendOrder,
    CancelOrder,
    CancelOrders,
    DisableTeam,
    GuardOrders,
    NewOrder,
    Record,
    RegisterTeam,
    SetPhase,
)
from exchange.model.events import AnyPrivateEvent, AnyVenueEvent, PositionUpdate, Traded
from exchange.model.phases import PHASES
from exchange.model.roles import Fees
from exchange.model.rules import ClosingCancels
from exchange.model.types import CancelReason, Phase, SelfTradePrevention, Side
from exchange.pipeline.health import State
from exchange.pipeline.recovery import Recovered
from exchange.services.settlement.settlement import Settled
from tests.oracle.actions import INSTRUMENTS
from tests.simulation.books import Books
from tests.simulation.oracle import Oracle
from tests.simulation.rules import POSITION_LIMIT, ROLES, STOPS_AT_ONCE, Game

FEES = {role.name: role.fees for role in ROLES}
SIDES = (Side.BUY, Side.SELL)
OVERDUE_US = 20_000
"""How long an order that is good till a date may outlast it: several looks at the clock."""


class Checker:
    """Knows what must come of the durable records, life after life. What is wrong raises AssertionError."""

    def __init__(self, game: Game) -> None:
        keeps_overnight = game.closing_cancels is ClosingCancels.DAY
        self.oracle = Oracle(game.prevention, keeps_overnight, game.batched, STOPS_AT_ONCE)
        self.fees: dict[int, Fees] = {}
        self.books = Books(self.fees)
        self.roles: dict[int, str] = {}
        self.disabled: set[int] = set()
        self.records: list[Record] = []
        self.last_sequence = 0
        self.failure: AssertionError | None = None
        self.doomed: set[int] = set()
        """Live orders that a guard of their team must have cancelled by the next rest."""
        self.reports: dict[int, OrderReport | None] = {}
        """How an order stood once its command was settled, by the sequence of that."""
        self._guards: dict[int, set[CancelReason]] = defaultdict(set)
        self._heard_us: dict[int, int] = {}
        self._prevents = game.prevention is not SelfTradePrevention.NONE
        self._expected: list[AnyVenueEvent] = []
        self._got = 0
        self._last_timestamp_us = 0

    # --- while the exchange runs ------------------------------------------------------------------

    def watch(self, exchange: Exchange) -> None:
        """Look at everything that ``exchange`` settles from now on."""
        settle = exchange.core.settlement.settle
        journal = exchange._journal

        def watched(record: Record, events: Sequence[AnyVenueEvent], *, answers: bool = True) -> Settled:
            # Every answer is checked, also one that nobody waits for.
            settled = settle(record, events)
            if self.failure is None:
                try:
                    assert record.sequence <= journal.last_sequence, "settled before it was durable"
                    self.settled(record, events, settled)
                    self._heard_us[record.sequence] = exchange._clock.now_us()
                except AssertionError as error:
                    self.failure = error
            return settled

        exchange.core.settlement.settle = watched  # type: ignore[method-assign]

    def settled(self, record: Record, events: Sequence[AnyVenueEvent], settled: Settled) -> None:
        """One command, or one slice of it, has been settled."""
        if record.sequence != self.last_sequence or not self._expected:
            self._begin(record)
        expected = self._expected[self._got : self._got + len(events)]
        assert list(events) == expected, f"{record}\nhas {events}\nnot {expected}"
        self._got += len(events)
        self._told(self.books.book(record, events), settled.private)
        self._check_answer(record, settled)
        self._check_limits(events)

    def rest(self, exchange: Exchange) -> None:
        """Nothing is under way: every part of the state agrees."""
        self._end()
        core = exchange.core
        self.books.check_sums(INSTRUMENTS)
        for name in INSTRUMENTS:
            depth = core.venue.depth(name, 100)
            assert depth == self.oracle.depth(name, 100), f"depth of {name}"
            assert core.venue.phase_of(name) is self.oracle.phase_of(name)
            assert core.admission.phases.of(name) is self.oracle.phase_of(name), "admission's phase"
            if self.oracle.matches_at_once(name) and depth.bids and depth.asks:
                assert depth.bids[0][0] < depth.asks[0][0], f"{name} is crossed"
        assert core.venue.statistics().live_orders == len(self.oracle.orders)
        self._check_priority(exchange)
        unwatched = {order_id for order_id in self.doomed if self.books.orders[order_id].is_live}
        assert not unwatched, f"nobody watches {unwatched}, and they are live"
        self.doomed.clear()
        for account in self.roles:
            self._check_account(exchange, account)
        assert sum(map(core.ledger.cash, core.ledger.accounts())) == 0
        assert sum(map(core.ledger.fees, core.ledger.accounts())) == 0

    def nothing_is_overdue(self, now_us: int, since_us: int) -> None:
        """Orders that are good till a date have ended, where the exchange has lived ``since_us``."""
        for orders in self.books.live.values():
            for order in orders.values():
                expires_at_us = order.command.all_terms.expires_at_us
                if expires_at_us is not None:
                    due_us = max(expires_at_us, since_us, self._heard_us.get(order.order_id, 0))
                    assert now_us - due_us < OVERDUE_US, f"{order} lives at {now_us}"

    def no_batch_is_overdue(self, exchange: Exchange) -> None:
        """Nothing was asked for as long as several batches take: none waits for its uncross."""
        if exchange.health.state is State.RUNNING:
            for name in INSTRUMENTS:
                assert not exchange.core.venue.wants_uncross(name), f"{name} waits for its uncross"

    def guards_are_due(self) -> None:
        """Every socket and timer has ended with the life before: what guarded teams had must go."""
        for account, reasons in self._guards.items():
            if reasons:
                self.doomed.update(self.books.live[account])

    def recovered(self, recovered: Recovered, exchange: Exchange, records: Iterable[Record]) -> None:
        """A new life begins with ``records`` durable, of which the last may not have been settled before."""
        assert recovered.failure is None, recovered.failure
        self.doomed.clear()
        for record in records:
            self._catch_up(record)
        assert recovered.core.admission.last_sequence == self.last_sequence
        for account in self.roles:
            assert recovered.streams.of(account).last_seq == self.books.last_seq(account), "private stream"
            for name, line in recovered.core.ledger.positions(account).items():
                # What was settled and never told, because the exchange ended.
                self.books.lines[account, name] = (line.cost, line.realised_pnl)
        self.rest(exchange)

    # --- one command ------------------------------------------------------------------------------

    def _begin(self, record: Record) -> None:
        self._end()
        assert record.sequence == self.last_sequence + 1, f"{record.sequence} after {self.last_sequence}"
        assert record.timestamp_us >= self._last_timestamp_us, "time went back"
        self._last_timestamp_us = record.timestamp_us
        self.last_sequence = record.sequence
        self.records.append(record)
        self._check_allowed(record)
        self._expected = self.oracle.apply(record)
        self._got = 0
        self.books.enter(record)
        if isinstance(record.command, AmendOrder):
            self.books.amend(record.command, self._expected)

    def _end(self) -> None:
        missing = self._expected[self._got :]
        assert not missing, f"never told: {missing}"
        self._expected = []
        self._got = 0

    def _catch_up(self, record: Record) -> None:
        """Do what the exchange had no time to do before it ended."""
        if record.sequence < self.last_sequence:
            return
        if record.sequence > self.last_sequence:
            self._begin(record)
        self.books.book(record, self._expected[self._got :])
        self._expected = []

    def _check_allowed(self, record: Record) -> None:
        command = record.command
        match command:
            case RegisterTeam():
                self.roles[command.account] = command.role
                self.fees[command.account] = FEES[command.role]
            case DisableTeam():
                (self.disabled.add if command.disabled else self.disabled.discard)(command.account)
            case GuardOrders():
                guards = self._guards[command.account]
                (guards.add if command.enabled else guards.discard)(command.against)
            case CancelOrders():
                self._guards[command.account].discard(command.reason)
            case SetPhase():
                self._check_move(command)
            case NewOrder() | AmendOrder():
                assert command.account not in self.disabled, "a disabled team trades"
                phase = self.oracle.phase_of(command.instrument_id)
                assert PHASES[phase].submit, f"{command} while {phase}"
            case CancelOrder():
                assert PHASES[self.oracle.market].cancel, f"{command} while {self.oracle.market}"

    def _check_move(self, command: SetPhase) -> None:
        """Out of a halt the way leads through a reopening, of the market as of an instrument."""
        phase, name = command.phase, command.instrument_id
        if name is None:
            ways_out = (Phase.HALTED, Phase.REOPENING, Phase.CLOSED)
            assert self.oracle.market is not Phase.HALTED or phase in ways_out, command
            return
        own = self.oracle.own.get(name)
        if phase is Phase.REOPENING:
            assert own is Phase.HALTED, command
        elif phase is Phase.CONTINUOUS:
            assert own is Phase.REOPENING, command
        else:
            assert phase is Phase.HALTED, command
            assert self.oracle.market is not Phase.CLOSED, command

    def _told(self, expected: Sequence[AnyPrivateEvent], told: Sequence[AnyPrivateEvent]) -> None:
        assert len(expected) == len(told), f"told {told}\nnot {expected}"
        for wanted, event in zip(expected, told, strict=True):
            if isinstance(event, PositionUpdate) and isinstance(wanted, PositionUpdate):
                self.books.check_position(event)
                same = (event.account, event.seq, event.position, event.cash, event.fees) == (
                    *(wanted.account, wanted.seq, wanted.position, wanted.cash, wanted.fees),
                )
            else:
                same = event == wanted
            assert same, f"told {event}\nnot {wanted}"

    def _check_answer(self, record: Record, settled: Settled) -> None:
        answer = settled.answer
        if isinstance(answer, OrderAnswer):
            self.reports[record.sequence] = answer.report
        if isinstance(record.command, NewOrder):
            assert isinstance(answer, OrderAnswer)
            order, report = self.books.orders[record.sequence], answer.report
            assert report is not None
            assert (report.status, report.filled_quantity, report.value, report.fees) == (
                *(order.status, order.filled, order.value, order.fees),
            ), f"answered {report} not {order}"

    def _check_limits(self, events: Sequence[AnyVenueEvent]) -> None:
        for event in events:
            if isinstance(event, Traded):
                if self._prevents and event.auction_id is None:
                    assert event.maker_account != event.taker_account, "a self-trade"
                for account in (event.maker_account, event.taker_account):
                    held = self.books.positions[account, event.instrument_id]
                    assert abs(held) <= POSITION_LIMIT[self.roles[account]], f"{account} holds {held}"

    # --- at rest ----------------------------------------------------------------------------------

    def _check_priority(self, exchange: Exchange) -> None:
        """Orders stand in the book by price, then by when they got their place; stops wait beside it."""
        for book in exchange.core.venue._books.values():
            for side, orders in ((Side.BUY, book.bids.orders()), (Side.SELL, book.asks.orders())):
                places = [
                    (order.price_ticks, order.order_id, order.remaining, order.reserve) for order in orders
                ]
                sign = -1 if side is Side.BUY else 1
                naive = sorted(
                    (each for each in self.oracle.orders if _within(each, book.instrument_id, side)),
                    key=lambda each: (sign * each.price_ticks, each.since),
                )
                assert places == [
                    (each.price_ticks, each.order_id, each.shown, each.hidden) for each in naive
                ]
                for _, order_id, shown, _ in places:
                    display = self.books.orders[order_id].command.all_terms.display_quantity
                    assert display is None or 0 < shown <= display, f"{order_id} shows {shown}"
            self._check_stops(book)

    def _check_stops(self, book: Book) -> None:
        waiting = {each.order_id: each.stop_price_ticks for each in book.stops.orders.values()}
        assert waiting == {
            each.order_id: each.stop_price_ticks
            for each in self.oracle.stops
            if each.command.instrument_id == book.instrument_id
        }

    def _check_account(self, exchange: Exchange, account: int) -> None:
        core, books = exchange.core, self.books
        limit = POSITION_LIMIT[self.roles[account]]
        assert core.ledger.cash(account) == books.cash[account]
        assert core.ledger.fees(account) == books.paid[account]
        live = {order.order_id: order.filled_quantity for order in core.register.open_orders(account)}
        assert live == {order_id: order.filled for order_id, order in books.live[account].items()}
        for name in INSTRUMENTS:
            held = books.positions[account, name]
            assert core.exposure.position(account, name) == held
            for side in SIDES:
                opened = books.open_lots(account, name, side)
                assert core.exposure.open_quantity(account, name, side) == opened, f"open lots of {account}"
                assert abs(held + side.sign * opened) <= max(limit, abs(held)), f"limit of {account}"


def _within(order: object, instrument_id: str, side: Side) -> bool:
    return order.instrument_id == instrument_id and order.side is side  # type: ignore[attr-defined]

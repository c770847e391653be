"""No interleaving of validate, match and settle passes a limit that admission reserves for."""

from collections import Counter, deque
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from exchange.engine.venue import Venue
from exchange.model.commands import (
    AmendOrder,
    AnyCommand,
    CancelOrder,
    CancelOrders,
    CancelScope,
    DisableTeam,
    NewOrder,
    Record,
    RegisterTeam,
    SetPhase,
)
from exchange.model.events import AnyVenueEvent, Traded
from exchange.model.instrument import Instrument
from exchange.model.roles import NoTwoSided, PortfolioLimit, PositionLimit, Role
from exchange.model.rules import Bands, GameRules
from exchange.model.types import (
    CancelReason,
    InstrumentKind,
    OrderType,
    Phase,
    SelfTradePrevention,
    Side,
    TimeInForce,
)
from exchange.services.game.teams import TeamRegistry
from exchange.services.orders.register import OrderRegister
from exchange.services.positions.exposure import Exposure
from exchange.services.positions.fees import FeeSchedule
from exchange.services.positions.ledger import Ledger
from exchange.services.settlement.settlement import Settlement
from exchange.services.validation.admission import Admission

POSITION_LIMIT = 10
TOTAL_LIMIT = 15
INSTRUMENTS = ("X", "Y")
ROLES = (
    Role(
        name="trader",
        constraints=(
            PositionLimit(max_position=POSITION_LIMIT),
            PortfolioLimit(max_total_position=TOTAL_LIMIT, count_open_orders=True),
        ),
    ),
    Role(name="fund", constraints=(PositionLimit(max_position=POSITION_LIMIT), NoTwoSided())),
)
RULES = GameRules(
    preset="test",
    instruments=tuple(
        Instrument(
            instrument_id=each,
            kind=InstrumentKind.INDEX,
            tick_size="0.01",
            multiplier=100,
            first_price_ticks=3,
        )
        for each in INSTRUMENTS
    ),
    roles=ROLES,
    bands=Bands(enabled=False),
)
TRADERS, FUND = (1, 2), 3
ACCOUNTS = (*TRADERS, FUND)


STAGES = ("validate", "match", "settle")
INTERVENTIONS: tuple[tuple[AnyCommand, ...], ...] = (
    *(
        (CancelOrders(each, (CancelScope("X", side),), CancelReason.PORTFOLIO_LIMIT),)
        for each in ACCOUNTS
        for side in (None, Side.BUY)
    ),
    *((DisableTeam(each, True, "test", "req"), DisableTeam(each, False, "test", "req")) for each in ACCOUNTS),
    tuple(SetPhase(each, "test") for each in (Phase.HALTED, Phase.REOPENING, Phase.CONTINUOUS)),
    (SetPhase(Phase.CLOSED, "test"), SetPhase(Phase.CONTINUOUS, "test")),
)


class Change(NamedTuple):
    """An amend or a cancel of one of the open orders."""

    pick: int
    cancel: bool
    quantity: int | None
    price_ticks: int | None


@st.composite
def _orders(draw: st.DrawFn) -> NewOrder:
    """Few prices, so that most orders meet."""
    price_ticks = draw(st.sampled_from([2, 2, 2, 1, 3, None]))
    return NewOrder(
        account=draw(st.sampled_from(ACCOUNTS)),
        instrument_id=draw(st.sampled_from(["X", "X", "Y"])),
        side=draw(st.sampled_from(Side)),
        order_type=OrderType.MARKET if price_ticks is None else OrderType.LIMIT,
        price_ticks=price_ticks,
        quantity=draw(st.sampled_from([1, 2, 3, 4, 5, 6, POSITION_LIMIT + 1])),
        time_in_force=draw(st.sampled_from([TimeInForce.GTC, TimeInForce.GTC, TimeInForce.IOC])),
        client_order_id=None,
        request_id="req",
    )


def _changes() -> st.SearchStrategy[Change]:
    return st.builds(
        Change,
        pick=st.integers(0, 7),
        cancel=st.sampled_from([False, False, False, True]),
        quantity=st.one_of(st.integers(1, 8), st.none()),
        price_ticks=st.sampled_from([None, 1, 2, 3]),
    )


Message: TypeAlias = NewOrder | Change | tuple[AnyCommand, ...]


def _messages() -> st.SearchStrategy[Message]:
    orders, changes = _orders(), _changes()
    acts: st.SearchStrategy[Message] = st.sampled_from(INTERVENTIONS)
    return st.integers(0, 19).flatmap(lambda n: orders if n < 11 else changes if n < 19 else acts)


class Services:
    """The services and the venue as the composition root builds them."""

    def __init__(self, prevent_self_trade: bool) -> None:
        stp = SelfTradePrevention.CANCEL_TAKER if prevent_self_trade else SelfTradePrevention.NONE
        rules = msgspec.structs.replace(RULES, self_trade_prevention=stp)
        self.venue = Venue(rules)
        self.teams = TeamRegistry(rules)
        self.register = OrderRegister(finished_per_team=5)
        self.exposure = Exposure()
        self.ledger = Ledger(rules.instruments)
        self.admission = Admission(rules, self.register, self.exposure, self.teams, self.venue)
        fees = FeeSchedule(self._role_of)
        self.settlement = Settlement(self.register, self.exposure, self.ledger, fees, self._role_of)

    def replay(self, record: Record) -> None:
        """All stages at once, as after a restart."""
        self.admission.apply(record)
        self.settlement.settle(record, self.venue.apply(record))

    def state(self) -> bytes:
        parts = (
            self.admission,
            self.teams,
            self.register,
            self.exposure,
            self.ledger,
            self.venue,
            self.settlement,
        )
        return msgspec.msgpack.encode([part.state() for part in parts])

    def _role_of(self, account: int) -> Role:
        team = self.teams.by_account(account)
        assert team is not None
        return team.role


class Pipeline(RuleBasedStateMachine):
    """Three queues and three stages; Hypothesis decides what is sent and which stage moves next."""

    @initialize(prevent_self_trade=st.booleans())
    def open_game(self, prevent_self_trade: bool) -> None:
        self.prevent_self_trade = prevent_self_trade
        self.services = Services(prevent_self_trade)
        self.order_queue: deque[AnyCommand] = deque()
        self.match_queue: deque[Record] = deque()
        self.trade_queue: deque[tuple[Record, list[AnyVenueEvent]]] = deque()
        self.journal: list[Record] = []
        self.traded: Counter[tuple[int, str]] = Counter()
        self.now_us = 1_000_000
        for account in ACCOUNTS:
            role = "trader" if account in TRADERS else "fund"
            self.order_queue.append(RegisterTeam(f"Team {account}", role, bytes([account] * 32), "req"))
        self._drain()

    # --- what is sent -------------------------------------------------------------------------------

    @rule(messages=st.lists(_messages(), min_size=4, max_size=16))
    def send(self, messages: list[Message]) -> None:
        """New orders, amends and cancels of what the clients take to be open, now and then an operator."""
        for message in messages:
            if isinstance(message, Change):
                self._change(message)
            elif isinstance(message, NewOrder):
                self.order_queue.append(message)
            else:
                self.order_queue += message

    # --- the stages ---------------------------------------------------------------------------------

    @rule(turns=st.lists(st.tuples(st.sampled_from(STAGES), st.integers(1, 6)), min_size=3, max_size=10))
    def run_stages(self, turns: list[tuple[str, int]]) -> None:
        """Each turn one stage takes a batch; how far one falls behind another is up to Hypothesis."""
        for stage, count in turns:
            for _ in range(count):
                getattr(self, stage)()

    def validate(self) -> None:
        if self.order_queue:
            self.now_us += 1
            verdict = self.services.admission.admit(self.order_queue.popleft(), self.now_us)
            if isinstance(verdict, Record):
                self.journal.append(verdict)
                self.match_queue.append(verdict)

    def match(self) -> None:
        if self.match_queue:
            record = self.match_queue.popleft()
            events = self.services.venue.apply(record)
            self.trade_queue.append((record, events))
            for event in events:
                if isinstance(event, Traded):
                    self._count(event)
            # A limit that is passed between two batches is passed.
            self.no_position_passes_its_limit()
            self.no_portfolio_passes_a_limit_that_counts_open_orders()

    def settle(self) -> None:
        if self.trade_queue:
            record, events = self.trade_queue.popleft()
            self.services.settlement.settle(record, events)

    # --- what must hold -------------------------------------------------------------------------------

    @invariant()
    def no_position_passes_its_limit(self) -> None:
        """Neither as booked nor as traded, which runs ahead of what is booked."""
        for account, instrument_id in _lines():
            assert abs(self.traded[account, instrument_id]) <= POSITION_LIMIT
            assert abs(self.services.exposure.position(account, instrument_id)) <= POSITION_LIMIT

    @invariant()
    def no_portfolio_passes_a_limit_that_counts_open_orders(self) -> None:
        for account in TRADERS:
            assert sum(abs(self.traded[account, each]) for each in INSTRUMENTS) <= TOTAL_LIMIT
            assert self.services.exposure.total_exposure(account) <= TOTAL_LIMIT

    @invariant()
    def no_fund_rests_on_both_sides(self) -> None:
        for instrument_id in INSTRUMENTS:
            orders = self.services.register.open_orders(FUND, instrument_id)
            assert len({order.command.side for order in orders if order.command.can_rest}) <= 1

    def teardown(self) -> None:
        """With nothing in flight reservations are what is open, and a replay comes to the same state."""
        if not hasattr(self, "services"):
            return
        self._drain()
        for account, instrument_id in _lines():
            for side in Side:
                assert self.services.exposure.open_quantity(account, instrument_id, side) == self._remaining(
                    account, instrument_id, side
                )
            assert self.traded[account, instrument_id] == self.services.exposure.position(
                account, instrument_id
            )
        again = Services(self.prevent_self_trade)
        for record in self.journal:
            again.replay(record)
        assert again.state() == self.services.state()

    # --------------------------------------------------------------------------------------------------

    def _change(self, change: Change) -> None:
        open_orders = [
            order
            for account in ACCOUNTS
            for order in self.services.register.open_orders(account)
            if order.command.can_rest
        ]
        if not open_orders:
            return
        order = open_orders[change.pick % len(open_orders)]
        account, order_id = order.command.account, order.order_id
        if change.cancel:
            self.order_queue.append(CancelOrder(account, order_id, "", "req"))
        else:
            self.order_queue.append(
                AmendOrder(account, order_id, "", change.quantity, change.price_ticks, "req")
            )

    def _count(self, trade: Traded) -> None:
        sign = trade.taker_side.sign
        self.traded[trade.taker_account, trade.instrument_id] += sign * trade.quantity
        self.traded[trade.maker_account, trade.instrument_id] -= sign * trade.quantity

    def _remaining(self, account: int, instrument_id: str, side: Side) -> int:
        orders = self.services.register.open_orders(account, instrument_id)
        return sum(order.remaining_quantity for order in orders if order.command.side is side)

    def _drain(self) -> None:
        while self.order_queue:
            self.validate()
        while self.match_queue:
            self.match()
        while self.trade_queue:
            self.settle()


def _lines() -> Iterator[tuple[int, str]]:
    return ((account, instrument_id) for account in ACCOUNTS for instrument_id in INSTRUMENTS)


PipelineTest = Pipeline.TestCase
PipelineTest.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)

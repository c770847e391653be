"""Whatever is sent: refusals and exceptions change nothing, numbers have no gap, time never goes back."""

from typing import NamedTuple

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.engine.venue import Venue
from exchange.model.answers import OrderAnswer
from exchange.model.commands import (
    AcceptLoss,
    AmendOrder,
    AnyCommand,
    CancelOrder,
    CancelOrders,
    CancelScope,
    DisableTeam,
    NewOrder,
    OpenGame,
    Record,
    RegisterTeam,
    RotateKey,
    SetPhase,
    Void,
)
from exchange.model.instrument import Instrument
from exchange.model.reasons import Refusal
from exchange.model.roles import (
    InstrumentAllowed,
    NoTwoSided,
    OrderRate,
    OrderSize,
    OrderTypeAllowed,
    PortfolioLimit,
    PositionLimit,
    PriceRange,
    Role,
    TradingWindow,
)
from exchange.model.rules import GameRules
from exchange.model.types import CancelReason, InstrumentKind, OrderType, Phase, Side, TimeInForce
from exchange.services.game.teams import TeamRegistry
from exchange.services.orders.register import OrderRegister
from exchange.services.positions.exposure import Exposure
from exchange.services.positions.fees import FeeSchedule
from exchange.services.positions.ledger import Ledger
from exchange.services.settlement.settlement import Settlement
from exchange.services.validation.admission import Admission

START_US = 1_704_067_200_000_000
RULES = GameRules(
    preset="test",
    instruments=tuple(
        Instrument(
            instrument_id=each,
            kind=InstrumentKind.ETF,
            tick_size="0.01",
            multiplier=100,
            first_price_ticks=100,
        )
        for each in ("X", "Y", "Z")
    ),
    roles=(
        Role(
            name="hedge_fund",
            constraints=(
                OrderRate(max_orders_per_second=3),
                OrderSize(max_size=8),
                OrderTypeAllowed(allowed_types=(OrderType.LIMIT,)),
                InstrumentAllowed(allowed_instruments=("X", "Y")),
                PriceRange(min_price=0.95, max_price=1.05),
                TradingWindow(allowed_phases=(Phase.CONTINUOUS,)),
                PositionLimit(max_position=10),
                NoTwoSided(),
            ),
        ),
        Role(name="market_maker", constraints=(PortfolioLimit(max_total_position=15),)),
        Role(name="retail", open=False),
    ),
    max_teams=4,
)


class Step(NamedTuple):
    """A command, the clock when it is admitted, and how many commands settle first."""

    command: AnyCommand
    now_us: int
    settled: int


class Exchange:
    """Every service and the venue; each command settles only when it is told to."""

    def __init__(self) -> None:
        self.teams = TeamRegistry(RULES)
        self.register, self.exposure = OrderRegister(), Exposure()
        self.ledger, self.venue = Ledger(RULES.instruments), Venue(RULES)
        self.admission = Admission(RULES, self.register, self.exposure, self.teams, self.venue)
        fees = FeeSchedule(self._role_of)
        self.settlement = Settlement(self.register, self.exposure, self.ledger, fees, self._role_of)
        self.behind: list[Record] = []

    def admit(self, step: Step) -> Record | OrderAnswer | Refusal | None:
        """The verdict; None where the command was a bug in the server, such as a key given twice."""
        try:
            return self.admission.admit(step.command, step.now_us)
        except ValueError:
            return None

    def settle(self, count: int) -> None:
        for record in self.behind[:count]:
            self.settlement.settle(record, self.venue.apply(record))
        del self.behind[:count]

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


accounts = st.sampled_from([1, 1, 2, 2, 3, 9, 0])
order_ids = st.integers(0, 30)
instrument_ids = st.sampled_from(["X", "X", "Y", "Z", "?"])
quantities = st.sampled_from([1, 2, 3, 4, 8, 9, 0, 10**9])
prices = st.sampled_from([100, 100, 99, 101, 95, 94, 0, 500, 2**40])

new_orders = st.builds(
    NewOrder,
    account=accounts,
    instrument_id=instrument_ids,
    side=st.sampled_from(Side),
    order_type=st.sampled_from([OrderType.LIMIT, OrderType.LIMIT, OrderType.MARKET]),
    price_ticks=st.one_of(prices, st.none()),
    quantity=quantities,
    time_in_force=st.sampled_from(TimeInForce),
    client_order_id=st.sampled_from([None, None, "a", "b"]),
    request_id=st.just("req"),
)
key_hashes = st.one_of(st.sampled_from([b"1" * 32, b"k" * 32]), st.binary(min_size=32, max_size=32))
others = st.one_of(
    st.builds(CancelOrder, accounts, order_ids, st.just(""), st.just("req")),
    st.builds(
        AmendOrder,
        accounts,
        order_ids,
        st.just(""),
        st.one_of(quantities, st.none()),
        st.one_of(prices, st.none()),
        st.just("req"),
    ),
    st.builds(
        RegisterTeam,
        st.sampled_from(["Alpha", "alpha ", "Beta", "", "Gamma", "Delta"]),
        st.sampled_from(["hedge_fund", "market_maker", "retail", "?"]),
        key_hashes,
        st.just("req"),
        by_operator=st.booleans(),
    ),
    st.builds(RotateKey, accounts, key_hashes, st.just("req")),
    st.builds(DisableTeam, accounts, st.booleans(), st.just("test"), st.just("req")),
    st.builds(
        CancelOrders,
        accounts,
        st.tuples(st.builds(CancelScope, st.one_of(st.none(), instrument_ids), st.none())),
        st.just(CancelReason.PORTFOLIO_LIMIT),
    ),
    st.builds(SetPhase, st.sampled_from([*Phase, Phase.CONTINUOUS]), st.just("test")),
    st.builds(Void, order_ids, st.just("test")),
    st.builds(AcceptLoss, order_ids, st.just("test"), st.just("none")),
    st.just(OpenGame(RULES)),
)
steps = st.builds(
    Step,
    command=st.one_of(new_orders, others),
    # Around the start, an hour on, and an hour back.
    now_us=st.builds(
        lambda base_s, us: START_US + base_s * 1_000_000 + us,
        st.sampled_from([0, 0, 0, 1, 2, 3600, -3600]),
        st.integers(0, 999_999),
    ),
    settled=st.integers(0, 3),
)


@settings(max_examples=150)
@given(st.lists(steps, min_size=10, max_size=60))
def test_admit_refuses_without_a_trace(sent: list[Step]) -> None:
    """Only what is accepted changes anything, and it gets the next number."""
    exchange = Exchange()
    opening: list[AnyCommand] = [
        OpenGame(RULES),
        RegisterTeam("One", "hedge_fund", b"1" * 32, "req"),
        RegisterTeam("Two", "market_maker", b"2" * 32, "req"),
    ]
    for step in [*(Step(each, START_US, 9) for each in opening), *sent]:
        exchange.settle(step.settled)
        before = exchange.state()
        sequence, timestamp_us = exchange.admission.last_sequence, exchange.admission.last_timestamp_us
        verdict = exchange.admit(step)
        if isinstance(verdict, Record):
            assert verdict.sequence == exchange.admission.last_sequence == sequence + 1
            assert verdict.timestamp_us == max(timestamp_us, step.now_us)
            assert verdict.timestamp_us == exchange.admission.last_timestamp_us
            exchange.behind.append(verdict)
        else:
            assert exchange.state() == before
    exchange.settle(len(exchange.behind))


@settings(max_examples=100)
@given(st.lists(steps, min_size=10, max_size=60))
def test_dry_run_says_what_admit_then_says(sent: list[Step]) -> None:
    """Judged right before it is sent, an order meets the same refusal, or none; asking leaves no trace."""
    exchange = Exchange()
    for name, role in (("One", "hedge_fund"), ("Two", "market_maker")):
        exchange.admission.admit(RegisterTeam(name, role, name.encode().ljust(32), "req"), START_US)
    for step in sent:
        before = exchange.state()
        told = None
        if isinstance(step.command, NewOrder):
            told = exchange.admission.dry_run(step.command, step.now_us)
            assert exchange.state() == before
        verdict = exchange.admit(step)
        if isinstance(step.command, NewOrder):
            assert told == (verdict if isinstance(verdict, Refusal) else None)
            assert isinstance(verdict, Record | OrderAnswer | Refusal)

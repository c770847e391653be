from typing import Any

import msgspec
import pytest

from exchange.base.bounds import MAX_PRICE_TICKS, MAX_QUANTITY
from exchange.model.answers import OrderAnswer, OrderReport
from exchange.model.commands import (
    AmendOrder,
    AnyCommand,
    CancelOrder,
    DisableTeam,
    NewOrder,
    Record,
    RotateKey,
    SetPhase,
)
from exchange.model.order import OrderStatus
from exchange.model.reasons import Category, Code, Refusal
from exchange.model.roles import AnyConstraint, NoTwoSided, OrderRate, OrderSize, PositionLimit
from exchange.model.types import OrderType, Phase, Side, TimeInForce
from exchange.services.game.teams import TeamRegistry
from exchange.services.validation.admission import Admission
from tests.unit.services.validation.fakes import (
    ACCOUNT,
    CALL,
    NOW_US,
    OTHER_ACCOUNT,
    SPX,
    FakeExposure,
    FakeMarket,
    FakeOrders,
    amend,
    cancel,
    new_order,
    registration,
    rules,
)

BUY, SELL = Side.BUY, Side.SELL


class Gate:
    """Admission with fakes around it and two teams registered."""

    def __init__(self, *constraints: AnyConstraint) -> None:
        game = rules(*constraints)
        self.register, self.exposure, self.market = FakeOrders(), FakeExposure(), FakeMarket()
        self.teams = TeamRegistry(game)
        self.admission = Admission(game, self.register, self.exposure, self.teams, self.market)
        for name in ("Alpha", "Beta"):
            self.record(registration(name))

    def admit(self, command: AnyCommand, now_us: int = NOW_US) -> Record | OrderAnswer | Refusal:
        return self.admission.admit(command, now_us)

    def record(self, command: AnyCommand, now_us: int = NOW_US) -> Record:
        verdict = self.admit(command, now_us)
        assert isinstance(verdict, Record)
        return verdict

    def refusal(self, command: AnyCommand, now_us: int = NOW_US) -> Refusal:
        """The refusal, which must not have changed a thing."""
        before = self.state()
        verdict = self.admit(command, now_us)
        assert isinstance(verdict, Refusal)
        assert self.state() == before
        return verdict

    def answer(self, command: NewOrder, now_us: int = NOW_US) -> OrderAnswer:
        """The answer to a resend, which must not have changed a thing."""
        before = self.state()
        verdict = self.admit(command, now_us)
        assert isinstance(verdict, OrderAnswer)
        assert self.state() == before
        return verdict

    def state(self) -> bytes:
        parts = (
            self.admission.state(),
            self.teams.state(),
            list(self.register.orders.items()),
            self.register.amends,
            self.exposure.reserved,
        )
        return msgspec.msgpack.encode(parts)


def finish(gate: Gate, order_id: int) -> None:
    """As settle would."""
    gate.register.orders[order_id].status = OrderStatus.CANCELLED


# --- numbers and time -------------------------------------------------------------------------------


def test_admit_numbers_and_times_each_command() -> None:
    """The sequence goes up by one; an accepted order is reserved and entered under its number."""
    gate = Gate()
    last = gate.admission.last_sequence
    record = gate.record(new_order(SELL, 7), NOW_US + 5)
    assert record == Record(last + 1, NOW_US + 5, new_order(SELL, 7))
    assert (gate.admission.last_sequence, gate.admission.last_timestamp_us) == (last + 1, NOW_US + 5)
    assert gate.exposure.reserved == [(ACCOUNT, CALL, SELL, 7, True)]
    assert list(gate.register.orders) == [record.sequence]


def test_admit_gives_times_that_never_go_back() -> None:
    """A clock set back repeats the last time given; a refused command does not move it."""
    gate = Gate()
    times = [NOW_US + 100, NOW_US + 50, NOW_US + 100, NOW_US - 10**12, NOW_US + 101]
    given = [gate.record(new_order(), now_us).timestamp_us - NOW_US for now_us in times]
    assert given == [100, 100, 100, 100, 101]
    gate.refusal(new_order(quantity=0), NOW_US + 10**12)
    assert gate.record(new_order(), NOW_US).timestamp_us == NOW_US + 101


@pytest.mark.parametrize(
    ("order", "can_rest"),
    [
        (new_order(), True),
        (new_order(time_in_force=TimeInForce.DAY), True),
        (new_order(time_in_force=TimeInForce.IOC), False),
        (new_order(price_ticks=None), False),
    ],
)
def test_admit_reserves_whether_an_order_can_rest(order: NewOrder, can_rest: bool) -> None:
    """Only a limit order that is not immediate-or-cancel can rest."""
    gate = Gate()
    gate.record(order)
    assert gate.exposure.reserved[-1][-1] is can_rest


# --- what is refused, and by what first --------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "category", "code", "details"),
    [
        (new_order(account=99), Category.UNKNOWN, Code.UNKNOWN_TEAM, {"account": 99}),
        (new_order(account=0), Category.UNKNOWN, Code.UNKNOWN_TEAM, {"account": 0}),
        (
            new_order(instrument_id="SPQ"),
            Category.UNKNOWN,
            Code.UNKNOWN_INSTRUMENT,
            {"instrument_id": "SPQ"},
        ),
        (
            new_order(order_type=OrderType.MARKET),
            Category.INVALID,
            Code.ORDER_TYPE_CONTRADICTION,
            None,
        ),
        (
            new_order(price_ticks=None, order_type=OrderType.LIMIT),
            Category.INVALID,
            Code.ORDER_TYPE_CONTRADICTION,
            None,
        ),
        (
            new_order(quantity=0),
            Category.INVALID,
            Code.INVALID_REQUEST,
            {"order_quantity": 0, "max_quantity": MAX_QUANTITY},
        ),
        (
            new_order(quantity=MAX_QUANTITY + 1),
            Category.INVALID,
            Code.INVALID_REQUEST,
            {"order_quantity": MAX_QUANTITY + 1, "max_quantity": MAX_QUANTITY},
        ),
        (
            new_order(price_ticks=0),
            Category.INVALID,
            Code.PRICE_OUT_OF_RANGE,
            {
                "instrument_id": CALL,
                "price_ticks": 0,
                "min_price_ticks": 1,
                "max_price_ticks": MAX_PRICE_TICKS,
            },
        ),
        (
            new_order(price_ticks=MAX_PRICE_TICKS + 1),
            Category.INVALID,
            Code.PRICE_OUT_OF_RANGE,
            {
                "instrument_id": CALL,
                "price_ticks": MAX_PRICE_TICKS + 1,
                "min_price_ticks": 1,
                "max_price_ticks": MAX_PRICE_TICKS,
            },
        ),
    ],
)
def test_admit_refuses_what_no_role_may_send(
    order: NewOrder, category: Category, code: Code, details: dict[str, Any] | None
) -> None:
    """Team, instrument, type and numbers are judged before any constraint."""
    refusal = Gate(OrderRate(max_orders_per_second=1)).refusal(order)
    assert (refusal.category, refusal.code, refusal.details) == (category, code, details)


def test_admit_takes_the_largest_numbers() -> None:
    """Both bounds are themselves allowed."""
    gate = Gate()
    gate.record(new_order(quantity=MAX_QUANTITY, price_ticks=MAX_PRICE_TICKS))
    gate.record(new_order(quantity=1, price_ticks=1))


@pytest.mark.parametrize(
    ("price_ticks", "passes"), [(89, False), (90, True), (110, True), (111, False), (None, True)]
)
def test_admit_keeps_orders_within_the_band(price_ticks: int | None, passes: bool) -> None:
    """Both ends are allowed; a market order takes its price from the band and needs none."""
    gate = Gate()
    gate.market.bands[CALL] = (90, 110)
    order = new_order(price_ticks=price_ticks)
    if passes:
        gate.record(order)
    else:
        refusal = gate.refusal(order)
        assert (refusal.category, refusal.code) == (Category.INVALID, Code.PRICE_OUT_OF_BAND)
        assert refusal.details == {
            "instrument_id": CALL,
            "price_ticks": price_ticks,
            "low_ticks": 90,
            "high_ticks": 110,
        }


def test_admit_answers_with_the_first_thing_wrong() -> None:
    """Team, phase, instrument, numbers, band, and then the role."""
    gate = Gate(OrderSize(max_size=5))
    gate.market.bands[CALL] = (1, 10)
    wrong = new_order(quantity=MAX_QUANTITY + 1, instrument_id="SPQ", price_ticks=11)
    gate.record(DisableTeam(ACCOUNT, True, "test", "req"))
    gate.record(SetPhase(Phase.HALTED, "test"))
    codes = [gate.refusal(wrong).code]
    gate.record(DisableTeam(ACCOUNT, False, "test", "req"))
    codes.append(gate.refusal(wrong).code)
    gate.record(SetPhase(Phase.REOPENING, "test"))
    codes.append(gate.refusal(wrong).code)
    wrong = msgspec.structs.replace(wrong, instrument_id=CALL)
    codes.append(gate.refusal(wrong).code)
    wrong = msgspec.structs.replace(wrong, quantity=6)
    codes.append(gate.refusal(wrong).code)
    wrong = msgspec.structs.replace(wrong, price_ticks=10)
    codes.append(gate.refusal(wrong).code)
    assert codes == [
        Code.TEAM_DISABLED,
        Code.MARKET_CLOSED,
        Code.UNKNOWN_INSTRUMENT,
        Code.INVALID_REQUEST,
        Code.PRICE_OUT_OF_BAND,
        Code.ORDER_SIZE_OUT_OF_RANGE,
    ]


def test_admit_counts_an_order_that_a_later_constraint_refuses() -> None:
    """What reached the rate has been counted; what failed before it has not."""
    gate = Gate(OrderRate(max_orders_per_second=2), OrderSize(max_size=5))
    assert gate.refusal(new_order(quantity=0)).code == Code.INVALID_REQUEST
    assert gate.refusal(new_order(quantity=6)).code == Code.ORDER_SIZE_OUT_OF_RANGE
    gate.record(new_order(quantity=5))
    assert gate.refusal(new_order(quantity=5)).code == Code.ORDER_RATE_EXCEEDED


def test_admit_counts_amends_but_no_cancels() -> None:
    """Orders and amends share the rate; a team can always cancel."""
    gate = Gate(OrderRate(max_orders_per_second=2))
    order_id = gate.record(new_order()).sequence
    gate.record(amend(order_id, quantity=11))
    assert gate.refusal(amend(order_id, quantity=12)).code == Code.ORDER_RATE_EXCEEDED
    gate.record(cancel(order_id))


# --- resends ----------------------------------------------------------------------------------------


def test_admit_answers_a_resend_as_the_order_it_repeats() -> None:
    """Same id and body: the first number and time, how the order stands now, and nothing entered."""
    gate = Gate(OrderRate(max_orders_per_second=1))
    first = gate.record(new_order(client_order_id="a"), NOW_US)
    answer = gate.answer(new_order(client_order_id="a", request_id="again"), NOW_US + 10)
    assert answer == OrderAnswer(
        first.sequence,
        NOW_US,
        CALL,
        "a",
        duplicate=True,
        report=OrderReport(OrderStatus.ACCEPTED, 10, 0, 0, 0, 1000),
    )


def test_admit_answers_a_resend_of_an_order_long_gone() -> None:
    """The id is known longer than the order: there is no state to report then."""
    gate = Gate()
    first = gate.record(new_order(client_order_id="a"))
    gate.register.forgotten.add(first.sequence)
    assert gate.answer(new_order(client_order_id="a")) == OrderAnswer(
        first.sequence, NOW_US, CALL, "a", duplicate=True
    )


def test_admit_answers_a_resend_whatever_has_changed_since() -> None:
    """Closed market, disabled team, spent rate: the order was accepted, and that is the answer."""
    gate = Gate(OrderRate(max_orders_per_second=1))
    first = gate.record(new_order(client_order_id="a"))
    gate.record(SetPhase(Phase.CLOSED, "test"))
    gate.record(DisableTeam(ACCOUNT, True, "test", "req"))
    assert gate.answer(new_order(client_order_id="a")).order_id == first.sequence


@pytest.mark.parametrize(
    "other",
    [
        new_order(SELL, client_order_id="a"),
        new_order(quantity=11, client_order_id="a"),
        new_order(price_ticks=1001, client_order_id="a"),
        new_order(price_ticks=None, client_order_id="a"),
        new_order(instrument_id=SPX, client_order_id="a"),
        new_order(time_in_force=TimeInForce.IOC, client_order_id="a"),
    ],
)
def test_admit_refuses_another_body_under_a_used_id(other: NewOrder) -> None:
    """An accepted order uses up its id."""
    gate = Gate()
    first = gate.record(new_order(client_order_id="a"))
    refusal = gate.refusal(other)
    assert (refusal.category, refusal.code) == (Category.CONFLICT, Code.CLIENT_ORDER_ID_REUSED)
    assert refusal.details == {"client_order_id": "a", "order_id": first.sequence}


def test_admit_takes_a_refused_order_again() -> None:
    """A refused order does not use up its id."""
    gate = Gate(OrderSize(max_size=5))
    gate.refusal(new_order(quantity=6, client_order_id="a"))
    gate.record(new_order(quantity=5, client_order_id="a"))


def test_admit_keeps_the_ids_of_teams_apart() -> None:
    """Two teams may use the same id."""
    gate = Gate()
    gate.record(new_order(client_order_id="a"))
    gate.record(new_order(client_order_id="a", account=OTHER_ACCOUNT))


# --- cancels and amends -------------------------------------------------------------------------------


def test_admit_fills_in_the_instrument_of_cancels_and_amends() -> None:
    """The register knows it; what came with the command does not count."""
    gate = Gate()
    order_id = gate.record(new_order(instrument_id=SPX)).sequence
    assert gate.record(amend(order_id, 11)).command == AmendOrder(ACCOUNT, order_id, SPX, 11, None, "req")
    record = gate.record(cancel(order_id, instrument_id=CALL))
    assert record.command == CancelOrder(ACCOUNT, order_id, SPX, "req")


def test_admit_answers_alike_for_unknown_foreign_and_finished_orders() -> None:
    """Nobody learns from a refusal whether another team's order exists."""
    gate = Gate()
    foreign = gate.record(new_order(account=OTHER_ACCOUNT)).sequence
    finished = gate.record(new_order()).sequence
    finish(gate, finished)
    targets = (10_000, foreign, finished)
    cancels = [gate.refusal(cancel(order_id)) for order_id in targets]
    amends = [gate.refusal(amend(order_id, 5)) for order_id in targets]
    assert [each.code for each in cancels + amends] == [Code.CANCEL_FAILED] * 3 + [Code.AMEND_FAILED] * 3
    assert {each.category for each in cancels + amends} == {Category.UNKNOWN}
    assert len({(each.message, each.details) for each in cancels + amends}) == 1


@pytest.mark.parametrize("order", [new_order(price_ticks=None), new_order(time_in_force=TimeInForce.IOC)])
def test_admit_refuses_to_amend_what_never_rests(order: NewOrder) -> None:
    """Such an order is over before an amend could reach it."""
    gate = Gate()
    assert gate.refusal(amend(gate.record(order).sequence, 5)).code == Code.AMEND_FAILED


def test_admit_reserves_the_increase_of_an_amend() -> None:
    """What the new total adds to the largest there may be; less or only a price adds nothing."""
    gate = Gate()
    order_id = gate.record(new_order(quantity=10)).sequence
    for quantity, price_ticks in ((15, None), (None, 900), (4, None), (12, 901), (18, 902)):
        gate.record(amend(order_id, quantity, price_ticks))
    assert gate.exposure.reserved[1:] == [
        (ACCOUNT, CALL, BUY, 5, None),
        (ACCOUNT, CALL, BUY, 3, None),
    ]


def test_admit_judges_an_amend_by_its_increase() -> None:
    """Ten of the limit of fifty are the order's own: forty more are allowed, forty-one are not."""
    gate = Gate(PositionLimit(max_position=50))
    order_id = gate.record(new_order(quantity=10)).sequence
    refusal = gate.refusal(amend(order_id, 51))
    assert refusal.code == Code.POSITION_LIMIT_EXCEEDED
    assert refusal.details == {
        "instrument_id": CALL,
        "current_position": 0,
        "open_quantity": 10,
        "order_quantity": 41,
        "limit": 50,
    }
    gate.record(amend(order_id, 50))


def test_admit_judges_the_size_of_an_amend_by_its_total() -> None:
    """Two steps of an amend do not get round the largest order."""
    gate = Gate(OrderSize(min_size=5, max_size=20))
    order_id = gate.record(new_order(quantity=10)).sequence
    assert gate.refusal(amend(order_id, 21)).code == Code.ORDER_SIZE_OUT_OF_RANGE
    assert gate.refusal(amend(order_id, 4)).code == Code.ORDER_SIZE_OUT_OF_RANGE
    gate.record(amend(order_id, 20))


def test_admit_lets_a_resting_order_of_one_side_be_amended() -> None:
    """The order itself does not stand in its own way."""
    gate = Gate(NoTwoSided())
    order_id = gate.record(new_order()).sequence
    gate.record(amend(order_id, price_ticks=1001))


@pytest.mark.parametrize(
    ("quantity", "price_ticks", "code"),
    [
        (None, None, Code.INVALID_REQUEST),
        (0, None, Code.INVALID_REQUEST),
        (MAX_QUANTITY + 1, None, Code.INVALID_REQUEST),
        (None, 0, Code.PRICE_OUT_OF_RANGE),
        (None, MAX_PRICE_TICKS + 1, Code.PRICE_OUT_OF_RANGE),
        (None, 111, Code.PRICE_OUT_OF_BAND),
    ],
)
def test_admit_judges_the_numbers_of_an_amend(
    quantity: int | None, price_ticks: int | None, code: Code
) -> None:
    """As those of an order; an amend must ask for something."""
    gate = Gate()
    order_id = gate.record(new_order(price_ticks=100)).sequence
    gate.market.bands[CALL] = (90, 110)
    assert gate.refusal(amend(order_id, quantity, price_ticks)).code == code


def test_admit_lets_an_order_outside_the_band_be_made_smaller() -> None:
    """Only a price that the amend asks for is judged: the band may have moved away from the order."""
    gate = Gate()
    order_id = gate.record(new_order(price_ticks=1000)).sequence
    gate.market.bands[CALL] = (90, 110)
    gate.record(amend(order_id, 5))


# --- phases and disabled teams ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phase", "orders", "cancels"),
    [
        (Phase.PRE_OPEN, True, True),
        (Phase.OPENING_AUCTION, False, False),
        (Phase.CONTINUOUS, True, True),
        (Phase.HALTED, False, True),
        (Phase.REOPENING, True, True),
        (Phase.PRE_CLOSE, True, True),
        (Phase.CLOSING_AUCTION, False, False),
        (Phase.CLOSED, False, False),
    ],
)
def test_admit_judges_by_the_phase_as_it_was_sequenced(phase: Phase, orders: bool, cancels: bool) -> None:
    """Everything after a SetPhase is judged by it, whatever the venue has come to."""
    gate = Gate()
    order_id = gate.record(new_order()).sequence
    gate.record(SetPhase(phase, "test"))
    assert gate.admission.phase is phase
    for command, passes in (
        (new_order(), orders),
        (amend(order_id, 11), orders),
        (cancel(order_id), cancels),
    ):
        if passes:
            gate.record(command)
        else:
            refusal = gate.refusal(command)
            assert (refusal.category, refusal.code) == (Category.CONFLICT, Code.MARKET_CLOSED)
            assert refusal.details == {"phase": phase.value}


def test_admit_lets_a_disabled_team_only_cancel() -> None:
    """Until it is let back."""
    gate = Gate()
    order_id = gate.record(new_order()).sequence
    gate.record(DisableTeam(ACCOUNT, True, "test", "req"))
    for command in (new_order(), amend(order_id, 11)):
        refusal = gate.refusal(command)
        assert (refusal.category, refusal.code) == (Category.FORBIDDEN, Code.TEAM_DISABLED)
    gate.record(cancel(order_id))
    gate.record(new_order(account=OTHER_ACCOUNT))
    gate.record(DisableTeam(ACCOUNT, False, "test", "req"))
    gate.record(new_order())


# --- dry runs ---------------------------------------------------------------------------------------


def test_dry_run_judges_as_admit_and_changes_nothing() -> None:
    """The same refusal or none, and no place in the rate window taken."""
    gate = Gate(OrderRate(max_orders_per_second=1), OrderSize(max_size=10))
    good, bad = new_order(client_order_id="a"), new_order(quantity=11)
    before = gate.state()
    for _ in range(3):
        assert gate.admission.dry_run(good, NOW_US) is None
        refusal = gate.admission.dry_run(bad, NOW_US)
        assert refusal is not None
        assert refusal.code == Code.ORDER_SIZE_OUT_OF_RANGE
    assert gate.state() == before
    gate.record(good)
    refusal = gate.admission.dry_run(new_order(), NOW_US)
    assert refusal is not None
    assert refusal.code == Code.ORDER_RATE_EXCEEDED


def test_dry_run_knows_resends() -> None:
    """A repeated order would be answered, another body under its id would not."""
    gate = Gate(OrderRate(max_orders_per_second=1))
    gate.record(new_order(client_order_id="a"))
    assert gate.admission.dry_run(new_order(client_order_id="a"), NOW_US) is None
    refusal = gate.admission.dry_run(new_order(quantity=11, client_order_id="a"), NOW_US)
    assert refusal is not None
    assert refusal.code == Code.CLIENT_ORDER_ID_REUSED


# --- replay -----------------------------------------------------------------------------------------


def test_apply_of_every_record_gives_the_same_state() -> None:
    """A replay judges nothing and comes to what the first run came to."""
    first = Gate(OrderRate(max_orders_per_second=100), PositionLimit(max_position=50))
    records = []
    order_id = first.record(new_order(quantity=40, client_order_id="a")).sequence
    records.append(Record(order_id, NOW_US, new_order(quantity=40, client_order_id="a")))
    for command in (
        amend(order_id, 50),
        cancel(order_id),
        new_order(SELL, account=OTHER_ACCOUNT),
        RotateKey(ACCOUNT, b"k" * 32, "req"),
        DisableTeam(OTHER_ACCOUNT, True, "test", "req"),
        SetPhase(Phase.HALTED, "test"),
    ):
        first.refusal(new_order(quantity=0))
        records.append(first.record(command, NOW_US + len(records)))
    again = Gate(PositionLimit(max_position=0))
    for record in records:
        again.admission.apply(record)
    assert again.state() == first.state()
    assert again.admission.phase is Phase.HALTED


def test_apply_of_an_amend_whose_order_is_forgotten_reserves_nothing() -> None:
    """On replay settle is never behind: the order may be gone that was live when the amend was admitted."""
    gate = Gate()
    gate.admission.apply(Record(gate.admission.last_sequence + 1, NOW_US, amend(77, 50)))
    assert (gate.register.amends, gate.exposure.reserved) == ([], [])


def test_apply_refuses_a_gap_in_the_sequence() -> None:
    """A record out of order means a wrong journal, and nothing is applied."""
    gate = Gate()
    before = gate.state()
    for offset in (0, 2):
        with pytest.raises(ValueError, match="does not follow"):
            gate.admission.apply(Record(gate.admission.last_sequence + offset, NOW_US, new_order()))
    assert gate.state() == before


def test_skip_keeps_number_and_time_of_a_voided_record() -> None:
    """What follows a voided record keeps its place."""
    gate = Gate()
    gate.admission.skip(Record(gate.admission.last_sequence + 1, NOW_US + 7, new_order()))
    assert gate.register.orders == {}
    record = gate.record(new_order(), NOW_US)
    assert (record.sequence, record.timestamp_us) == (4, NOW_US + 7)


# --- exceptions -------------------------------------------------------------------------------------


class _Broken(Exception):
    """A bug in a neighbour."""


@pytest.mark.parametrize("command", [new_order(client_order_id="a"), amend(3, 20), cancel(3)])
@pytest.mark.parametrize("asked", ["band", "position", "by_account", "get", "by_client_id"])
def test_admit_that_raises_while_judging_changes_nothing(
    command: AnyCommand, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everything is judged before the first change, so a failing neighbour leaves nothing half done."""
    gate = Gate(PositionLimit(max_position=50))
    gate.record(new_order())
    before = gate.state()

    def fail(*_: object) -> object:
        raise _Broken

    for neighbour in (gate.market, gate.exposure, gate.teams, gate.register):
        if hasattr(neighbour, asked):
            monkeypatch.setattr(neighbour, asked, fail)
    try:
        verdict = gate.admit(command)
    except _Broken:
        assert gate.state() == before
    else:
        # This command never asks that neighbour.
        assert isinstance(verdict, Record)

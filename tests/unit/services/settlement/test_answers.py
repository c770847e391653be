"""What the requester is answered."""

from __future__ import annotations

import pytest

from exchange.model.answers import Done, OrderAnswer, OrderReport, OrdersCancelled, TeamAnswer
from exchange.model.commands import (
    AmendOrder,
    AnyCommand,
    CancelOrder,
    CancelOrders,
    DisableTeam,
    RegisterTeam,
    RotateKey,
    SetPhase,
    Void,
)
from exchange.model.events import (
    Acknowledged,
    Amended,
    AmendRefused,
    AnyVenueEvent,
    Cancelled,
    CancelRefused,
)
from exchange.model.order import OrderStatus
from exchange.model.reasons import Category, Code, Refusal
from exchange.model.types import CancelReason, Phase, Side
from tests.support.settling import Desk, new_order

BUY, SELL = Side.BUY, Side.SELL


def test_answer_to_an_order_reports_its_fills() -> None:
    """Status, filled quantity, value and fees as booked."""
    desk = Desk()
    settled = desk.trade(new_order(1, SELL, 10, 100), new_order(2, BUY, 4, 105, client_order_id="t"))
    assert settled.answer == OrderAnswer(
        2, 1_000_010, "X", "t", False, OrderReport(OrderStatus.FILLED, 4, 4, 400, -800, 105)
    )


def test_answer_to_a_cancel_reports_the_end_at_the_time_of_the_cancel() -> None:
    """The order's identifiers, the cancel's timestamp."""
    desk = Desk()
    desk.rest(new_order(1, BUY, 10, client_order_id="a"))
    record = desk.admit(CancelOrder(1, 1, "X", "cancel"))
    settled = desk.settle(record, Cancelled(1, "X", BUY, 100, 10, CancelReason.REQUESTED))
    assert settled.answer == OrderAnswer(
        1, record.timestamp_us, "X", "a", False, OrderReport(OrderStatus.CANCELLED, 10, 0, 0, 0, 100)
    )


def test_answer_to_an_amend_reports_the_new_terms() -> None:
    """Price and total as they are now."""
    desk = Desk()
    desk.rest(new_order(1, BUY, 10, client_order_id="a"))
    record = desk.admit(AmendOrder(1, 1, "X", 4, 98, "amend"))
    settled = desk.settle(record, Amended(1, "X", BUY, 98, 4, 4, 100, 10))
    assert settled.answer == OrderAnswer(
        1, record.timestamp_us, "X", "a", False, OrderReport(OrderStatus.OPEN, 4, 0, 0, 0, 98)
    )


def test_answer_to_an_amend_below_filled_reports_the_cancel() -> None:
    """An amend that ends the order is not refused: it did what it could."""
    desk = Desk()
    desk.trade(new_order(1, SELL, 10), new_order(2, BUY, 6))
    record = desk.admit(AmendOrder(1, 1, "X", 6, None, "amend"))
    answer = desk.settle(record, Cancelled(1, "X", SELL, 100, 4, CancelReason.AMENDED_BELOW_FILLED)).answer
    assert isinstance(answer, OrderAnswer)
    assert answer.report == OrderReport(OrderStatus.CANCELLED, 10, 6, 600, 1_200, 100)


@pytest.mark.parametrize(
    ("command", "event", "code"),
    [
        (CancelOrder(1, 99, "X", "cancel"), CancelRefused(99), Code.CANCEL_FAILED),
        (AmendOrder(1, 99, "X", 1, None, "amend"), AmendRefused(99), Code.AMEND_FAILED),
    ],
)
def test_answer_to_what_match_refused_is_404(command: AnyCommand, event: AnyVenueEvent, code: Code) -> None:
    """Not resting any more: 404 in the words validate uses, and nothing is told in private."""
    desk = Desk()
    settled = desk.settle(desk.admit(command), event)
    assert isinstance(settled.answer, Refusal)
    assert (settled.answer.category, settled.answer.code) == (Category.UNKNOWN, code)
    assert settled.private == []


@pytest.mark.parametrize(
    "command",
    [
        RegisterTeam("alpha", "hedge_fund", b"hash", "req", account=3),
        RotateKey(3, b"hash", "req"),
        DisableTeam(3, True, "late", "req"),
    ],
)
def test_answer_to_a_team_act_names_the_account(command: AnyCommand) -> None:
    """The number of the team and the time."""
    desk = Desk()
    record = desk.admit(command)
    assert desk.settle(record).answer == TeamAnswer(3, record.timestamp_us)


@pytest.mark.parametrize(
    "command",
    [SetPhase(Phase.HALTED, "operator"), Void(1, "bad")],
)
def test_answer_to_an_act_names_its_sequence(command: AnyCommand) -> None:
    """Done at a sequence."""
    desk = Desk()
    record = desk.admit(command)
    assert desk.settle(record).answer == Done(record.sequence, record.timestamp_us)


def test_answer_to_a_mass_cancel_counts_orders() -> None:
    """As many as were cancelled, none included."""
    desk = Desk()
    desk.rest(new_order(1, BUY, 10))
    record = desk.admit(CancelOrders(1, (), CancelReason.REQUESTED, "all"))
    settled = desk.settle(record, Cancelled(1, "X", BUY, 100, 10, CancelReason.REQUESTED))
    assert settled.answer == OrdersCancelled(record.sequence, record.timestamp_us, 1)
    again = desk.admit(CancelOrders(1, (), CancelReason.REQUESTED, "all"))
    assert desk.settle(again).answer == OrdersCancelled(again.sequence, again.timestamp_us, 0)


def test_answer_to_a_mass_cancel_in_slices_counts_them_all() -> None:
    """The last slice, which is told to the requester, has what those before it ended."""
    desk = Desk()
    for _ in range(2):
        desk.rest(new_order(1, BUY, 10))
    record = desk.admit(CancelOrders(1, (), CancelReason.REQUESTED, "all"))
    slices = [[Cancelled(each, "X", BUY, 100, 10, CancelReason.REQUESTED)] for each in (1, 2)]
    answers = [desk.settle(record, *events).answer for events in slices]
    assert answers[-1] == OrdersCancelled(record.sequence, record.timestamp_us, 2)


def test_answer_shows_the_state_after_all_events() -> None:
    """An order that is taken and ended in one command is answered as ended."""
    desk = Desk()
    record = desk.admit(new_order(1, BUY, 5, None))
    settled = desk.settle(
        record,
        Acknowledged(1, "X", BUY, 1_000, 5),
        Cancelled(1, "X", BUY, 1_000, 5, CancelReason.NO_LIQUIDITY),
    )
    assert isinstance(settled.answer, OrderAnswer)
    assert settled.answer.report == OrderReport(OrderStatus.CANCELLED, 5, 0, 0, 0, None)

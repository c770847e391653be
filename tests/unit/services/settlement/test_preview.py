"""What ``?wait=matching`` answers before anything is booked."""

from __future__ import annotations

import pytest

from exchange.model.answers import OrderReport
from exchange.model.commands import AmendOrder, CancelOrder, SetPhase
from exchange.model.events import (
    Acknowledged,
    Amended,
    AmendRefused,
    AnyVenueEvent,
    Cancelled,
    CancelRefused,
    Traded,
)
from exchange.model.order import OrderStatus
from exchange.model.types import CancelReason, Phase, Side
from tests.support.settling import Desk, new_order

BUY, SELL = Side.BUY, Side.SELL
ACK = Acknowledged(1, "X", BUY, 100, 10)


@pytest.mark.parametrize(
    ("events", "report"),
    [
        ([ACK], OrderReport(OrderStatus.OPEN, 10, 0, 0, 0, 100)),
        (
            [ACK, Traded(1, "X", 99, 4, 7, 1, 3, 2, BUY)],
            OrderReport(OrderStatus.PARTIALLY_FILLED, 10, 4, 396, -800, 100),
        ),
        (
            [ACK, Traded(1, "X", 99, 4, 7, 1, 3, 2, BUY), Traded(2, "X", 100, 6, 8, 1, 3, 2, BUY)],
            OrderReport(OrderStatus.FILLED, 10, 10, 996, -2_000, 100),
        ),
        (
            [
                ACK,
                Traded(1, "X", 99, 4, 7, 1, 3, 2, BUY),
                Cancelled(1, "X", BUY, 100, 6, CancelReason.IOC_REMAINDER),
            ],
            OrderReport(OrderStatus.CANCELLED, 10, 4, 396, -800, 100),
        ),
        ([], None),
    ],
)
def test_preview_of_an_order_follows_from_its_events(
    events: list[AnyVenueEvent], report: OrderReport | None
) -> None:
    """A new order has no past: its events say everything, and nothing is booked."""
    desk = Desk()
    record = desk.admit(new_order(2, BUY, 10))
    before = desk.encoded_state()
    assert desk.settlement.preview(record, events) == report
    assert desk.encoded_state() == before


def test_preview_of_a_cancel_reports_the_fills_before_it() -> None:
    """What was filled is in the register already."""
    desk = Desk()
    desk.trade(new_order(1, SELL, 10), new_order(2, BUY, 4))
    record = desk.admit(CancelOrder(1, 1, "X", "cancel"))
    events = [Cancelled(1, "X", SELL, 100, 6, CancelReason.REQUESTED)]
    assert desk.settlement.preview(record, events) == OrderReport(OrderStatus.CANCELLED, 10, 4, 400, 800, 100)


def test_preview_of_a_cancel_waits_for_fills_in_flight() -> None:
    """Four lots were matched and are not booked: only settlement knows what they cost."""
    desk = Desk()
    desk.rest(new_order(1, SELL, 10))
    record = desk.admit(CancelOrder(1, 1, "X", "cancel"))
    events = [Cancelled(1, "X", SELL, 100, 6, CancelReason.REQUESTED)]
    assert desk.settlement.preview(record, events) is None


def test_preview_of_a_cancel_waits_for_amends_in_flight() -> None:
    """Five more lots and five filled leave ten as before: an amend in flight makes it uncertain."""
    desk = Desk()
    desk.rest(new_order(1, SELL, 10))
    desk.admit(AmendOrder(1, 1, "X", 15, None, "amend"))
    record = desk.admit(CancelOrder(1, 1, "X", "cancel"))
    events = [Cancelled(1, "X", SELL, 100, 10, CancelReason.REQUESTED)]
    assert desk.settlement.preview(record, events) is None


@pytest.mark.parametrize(
    ("quantity", "events", "report"),
    [
        (
            12,
            [Amended(1, "X", BUY, 101, 12, 8, 100, 6)],
            OrderReport(OrderStatus.PARTIALLY_FILLED, 12, 4, 400, 800, 101),
        ),
        (
            12,
            [Traded(2, "X", 101, 5, 9, 1, 2, 1, BUY), Amended(1, "X", BUY, 101, 12, 3, 100, 6)],
            OrderReport(OrderStatus.PARTIALLY_FILLED, 12, 9, 905, 300, 101),
        ),
        (
            12,
            [Traded(2, "X", 101, 8, 9, 1, 2, 1, BUY), Amended(1, "X", BUY, 101, 12, 0, 100, 6)],
            OrderReport(OrderStatus.FILLED, 12, 12, 1_208, 0, 101),
        ),
        (
            12,
            [
                Traded(2, "X", 101, 5, 9, 1, 2, 1, BUY),
                Amended(1, "X", BUY, 101, 12, 3, 100, 6),
                Cancelled(1, "X", BUY, 101, 3, CancelReason.SELF_TRADE),
            ],
            OrderReport(OrderStatus.CANCELLED, 12, 9, 905, 300, 101),
        ),
        (12, [Amended(1, "X", BUY, 101, 12, 7, 100, 5)], None),  # one more lot was filled and not booked
        (4, [Cancelled(1, "X", BUY, 100, 6, CancelReason.AMENDED_BELOW_FILLED)], None),
    ],
)
def test_preview_of_an_amend_adds_its_trades(
    quantity: int, events: list[AnyVenueEvent], report: OrderReport | None
) -> None:
    """The register's fills and those of the amend itself, unless fills before it are still under way."""
    desk = Desk()
    desk.trade(new_order(1, BUY, 10), new_order(2, SELL, 4))
    record = desk.admit(AmendOrder(1, 1, "X", quantity, 101, "amend"))
    assert desk.settlement.preview(record, events) == report


def test_preview_of_anything_else_is_none() -> None:
    """Refusals, acts and orders nobody knows are settlement's to answer."""
    desk = Desk()
    preview = desk.settlement.preview
    assert preview(desk.admit(CancelOrder(1, 9, "X", "c")), [CancelRefused(9)]) is None
    assert preview(desk.admit(AmendOrder(1, 9, "X", 1, None, "a")), [AmendRefused(9)]) is None
    assert preview(desk.admit(SetPhase(Phase.HALTED, "operator")), []) is None
    desk.rest(new_order(1, BUY, 1))
    assert preview(desk.admit(CancelOrder(1, 4, "X", "c")), [CancelRefused(4)]) is None

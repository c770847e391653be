"""The clock that ends orders."""

from exchange.model.commands import ExpireOrders
from exchange.pipeline.expiry_clock import ExpiryClock


class FixedClock:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.us = 0

    def now_us(self) -> int:
        return self.us

    def monotonic_ns(self) -> int:
        return self.us * 1_000


def test_expiry_clock_enters_a_command_when_an_order_is_due_and_not_before() -> None:
    """At its microsecond an order is due; without any nothing is entered."""
    clock = FixedClock()
    ends: list[int | None] = [None]
    entered: list[ExpireOrders] = []
    expiry_clock = ExpiryClock(lambda: ends[0], clock=clock, submit=entered.append)
    expiry_clock.check()
    ends[0] = 10
    clock.us = 9
    expiry_clock.check()
    assert entered == []
    clock.us = 10
    expiry_clock.check()
    assert entered == [ExpireOrders(10)]

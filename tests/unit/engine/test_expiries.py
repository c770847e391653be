"""The ends of orders that are good till a date."""

from exchange.engine.expiries import Expiries, Expiry


def _expiry(at_us: int, order_id: int) -> Expiry:
    return Expiry(at_us, order_id, 1, "X")


def test_expiries_come_by_time_then_number() -> None:
    """Each end comes once, up to the time asked for."""
    expiries = Expiries(lambda _: True)
    for each in (_expiry(5, 2), _expiry(3, 9), _expiry(5, 1), _expiry(7, 3)):
        expiries.add(each)
    assert expiries.next_us == 3
    assert [each.order_id for each in expiries.due(5)] == [9, 1, 2]
    assert list(expiries.due(5)) == []
    assert expiries.next_us == 7


def test_expiries_forget_orders_that_are_gone() -> None:
    """An order that ended before its time is passed over, and the heap does not grow with such."""
    live: set[int] = set()
    expiries = Expiries(lambda expiry: expiry.order_id in live)
    for order_id in range(10_000):
        live.add(order_id)
        expiries.add(_expiry(1_000_000 - order_id, order_id))
        live.discard(order_id - 10)
    assert len(expiries._heap) < 200
    assert len(list(expiries.due(1_000_000))) == 10
    assert expiries.next_us is None

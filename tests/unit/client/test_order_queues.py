"""The client's orders are the exchange's, place by place."""

from __future__ import annotations

import pytest

from exchange.client.order_book import BookGap
from exchange.client.order_queues import OrderQueues, QueuedOrder
from exchange.model.types import Side
from exchange.wire.events import OrdersSnapshot, OrdersUpdate, PlaceInQueue

Places = list[PlaceInQueue]


def snapshot(seq: int, bids: Places, asks: Places, part: int = 1, parts: int = 1) -> OrdersSnapshot:
    """Every order, or one part of them."""
    return OrdersSnapshot(
        seq=seq,
        timestamp="T",
        channel="orders.SPX",
        epoch="e",
        bids=bids,
        asks=asks,
        part=part,
        parts=parts,
    )


def update(seq: int, prev_seq: int, bids: Places, asks: Places) -> OrdersUpdate:
    """Places that changed."""
    return OrdersUpdate(seq=seq, timestamp="T", channel="orders.SPX", prev_seq=prev_seq, bids=bids, asks=asks)


def test_queues_are_in_priority() -> None:
    """Best price first, within a price the smaller reference."""
    queues = OrderQueues("SPX")
    queues.apply(snapshot(3, [(5, 99.0, 2), (1, 98.0, 1)], [(7, 101.0, 1)]))
    queues.apply(update(4, 3, [(8, 99.0, 4), (1, 98.0, 0)], [(6, 101.0, 2)]))
    assert queues.bids() == [QueuedOrder(5, 99.0, 2), QueuedOrder(8, 99.0, 4)]
    assert queues.asks() == [QueuedOrder(6, 101.0, 2), QueuedOrder(7, 101.0, 1)]
    assert queues.at(Side.BUY, 99.0) == queues.bids()
    assert queues.at(Side.SELL, 99.0) == []
    queues.apply(update(9, 4, [(5, 99.0, 0), (77, 90.0, 0)], []))
    assert (queues.seq, queues.bids()) == (9, [QueuedOrder(8, 99.0, 4)])


def test_queues_are_synced_with_the_last_part() -> None:
    """Before it nothing may be relied on, and an update is a gap."""
    queues = OrderQueues("SPX")
    queues.apply(snapshot(3, [(1, 99.0, 2)], [], part=1, parts=2))
    assert not queues.is_synced
    with pytest.raises(BookGap):
        queues.apply(update(4, 3, [], []))
    queues.apply(snapshot(3, [(2, 99.0, 2)], [], part=2, parts=2))
    synced: bool = queues.is_synced
    assert synced
    assert [order.ref for order in queues.bids()] == [1, 2]


def test_queues_update_without_its_predecessor_is_a_gap() -> None:
    """They say so, and are in order again with the next snapshot."""
    queues = OrderQueues("SPX")
    queues.apply(snapshot(3, [], []))
    with pytest.raises(BookGap):
        queues.apply(update(5, 4, [], []))
    states = [queues.is_synced]
    queues.apply(snapshot(5, [(1, 99.0, 2)], []))
    for act in (queues.resume, queues.lose, queues.resume):
        act()
        states.append(queues.is_synced)
    assert states == [False, True, False, True]

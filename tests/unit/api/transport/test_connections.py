"""Places at the counter."""

from __future__ import annotations

from exchange.api.transport.connections import ConnectionCounter, ProtocolStatistics


def test_counter_limits_each_address_alone() -> None:
    """One address at its limit takes nothing from another."""
    counter = ConnectionCounter(max_per_address=2, max_total=10)
    assert [counter.admit("a") for _ in range(3)] == [True, True, False]
    assert counter.admit("b")
    counter.release("a")
    assert counter.admit("a")
    assert not counter.admit("a")


def test_counter_limits_all_addresses_together() -> None:
    """The total counts connections without an address too."""
    counter = ConnectionCounter(max_per_address=2, max_total=3)
    assert counter.admit("a")
    assert counter.admit(None)
    assert counter.admit(None)
    assert not counter.admit("b")
    assert not counter.admit(None)
    counter.release(None)
    assert counter.admit("b")


def test_counter_forgets_an_address_without_connections() -> None:
    """Addresses come and go without leaving anything behind."""
    counter = ConnectionCounter()
    for number in range(1_000):
        assert counter.admit(str(number))
        counter.release(str(number))
    assert counter.statistics() == ProtocolStatistics(0, 0, 0, 0, {})


def test_counter_limits_connections_that_are_being_refused() -> None:
    """Telling a client why takes a place of its own."""
    counter = ConnectionCounter(max_refused=1)
    assert counter.admit_refused()
    assert not counter.admit_refused()
    counter.release_refused()
    assert counter.admit_refused()
    assert counter.statistics().refused_open == 1


def test_counter_reads_what_was_counted_until_then() -> None:
    """A reading does not change afterwards."""
    counter = ConnectionCounter()
    counter.admit("a")
    counter.refused("WS_1009")
    counter.refused("WS_1009")
    counter.client_gone()
    reading = counter.statistics()
    counter.refused("WS_1009")
    counter.release("a")
    assert reading == ProtocolStatistics(1, 0, 1, 1, {"WS_1009": 2})

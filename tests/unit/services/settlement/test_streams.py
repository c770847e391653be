"""Numbers of the private streams."""

from __future__ import annotations

from exchange.services.settlement.streams import StreamNumbers


def test_take_counts_from_one_per_team() -> None:
    """Without gaps, each team for itself; asking for the last takes none."""
    streams = StreamNumbers()
    assert [streams.take(account) for account in (2, 2, 1, 2)] == [1, 2, 1, 3]
    assert [streams.last(account) for account in (1, 2, 3)] == [1, 3, 0]
    assert streams.state() == [(1, 1), (2, 3)]

"""What a channel makes of each message: conflated ones, snapshots in parts, books that do not add up."""

from __future__ import annotations

import pytest

from exchange.client.channels import Channel, Verdict
from exchange.client.order_book import ChecksumMismatch
from exchange.wire.events import BookSnapshot, OrdersSnapshot
from exchange.wire.socket import ChannelState


def _entered(name: str, seq: int = 0) -> Channel:
    channel = Channel(name)
    channel.enter(ChannelState(channel=name, seq=seq), "e")
    return channel


def _part(part: int, parts: int, seq: int = 7) -> OrdersSnapshot:
    return OrdersSnapshot(
        seq=seq, timestamp="T", channel="orders.X", epoch="e", bids=[], asks=[], part=part, parts=parts
    )


def test_channel_takes_what_goes_on_from_what_it_knows() -> None:
    """By prev_seq where it is told, else from the one before: no false gap, and no missed one."""
    channel = _entered("ticker.X", 4)
    assert channel.judge(4, is_snapshot=False) is Verdict.TAKE
    channel.last_seq = 4
    assert channel.judge(9, is_snapshot=False, prev_seq=4) is Verdict.TAKE
    assert channel.judge(9, is_snapshot=False, prev_seq=5) is Verdict.GAP
    assert channel.judge(6, is_snapshot=False) is Verdict.GAP
    assert channel.judge(5, is_snapshot=False) is Verdict.TAKE
    assert channel.judge(4, is_snapshot=False, prev_seq=4) is Verdict.IGNORE


def test_channel_state_may_begin_ahead_of_the_answer() -> None:
    """Where many channels begin at once, the first message tells of later than the answer did."""
    assert _entered("ticker.X", 4).judge(9, is_snapshot=False) is Verdict.TAKE
    assert _entered("ticker.X", 4).judge(3, is_snapshot=False) is Verdict.GAP


def test_channel_is_told_a_new_beginning_at_any_time() -> None:
    """A snapshot replaces what was known, whatever was missed."""
    channel = _entered("book.X")
    channel.last_seq = 4
    assert channel.judge(90, is_snapshot=True) is Verdict.TAKE


def test_channel_cannot_go_on_from_a_part() -> None:
    """Cut in the middle of a snapshot it begins anew; with the last part it can be resumed."""
    channel = _entered("orders.X")
    for part in (1, 2):
        assert channel.judge(7, is_snapshot=True) is Verdict.TAKE
        channel.apply(_part(part, 3))
        assert channel.resume_from("e") is None
    channel.apply(_part(3, 3))
    assert channel.resume_from("e") == 7
    channel.apply(_part(1, 2, seq=9))
    assert channel.resume_from("e") is None


def test_channel_says_that_its_book_does_not_add_up() -> None:
    """The checksum of the exchange is compared."""
    begin = BookSnapshot(
        seq=1, timestamp="T", channel="book.X.5", epoch="e", bids=[], asks=[], checksum=1, price_decimals=2
    )
    with pytest.raises(ChecksumMismatch):
        _entered("book.X.5").apply(begin)

"""One write a turn, in order, and what counts as buffered."""

from __future__ import annotations

import asyncio
from typing import cast

from exchange.api.transport.frame_writer import FrameWriter, TurnFlusher
from exchange.base.bounds import MAX_UNFLUSHED_FRAMES


class Socket:
    """A transport whose kernel takes as much as ``takes``."""

    def __init__(self, takes: int = 1_000_000) -> None:
        self.takes = takes
        self.writes: list[bytes] = []
        self.unsent = 0
        self.ended = self.aborted = self.fails = False

    def write(self, data: bytes) -> None:
        if self.fails:
            raise RuntimeError("the handler is closed")
        self.writes.append(data)
        self.unsent += len(data)
        self.drain()

    def drain(self) -> None:
        taken = min(self.takes, self.unsent)
        self.takes -= taken
        self.unsent -= taken

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.aborted

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def resume_reading(self) -> None:
        return

    def abort(self) -> None:
        self.aborted = True


def _writer(socket: Socket, flusher: TurnFlusher | None = None) -> FrameWriter:
    writer = FrameWriter(
        cast(asyncio.Transport, socket), asyncio.get_running_loop(), flusher or TurnFlusher(), 60.0
    )
    writer.open = True
    return writer


async def _turn() -> None:
    await asyncio.sleep(0)


async def test_writer_sends_a_turn_in_one_write() -> None:
    """Frames and uvicorn's own writes, in the order they were handed in."""
    socket = Socket()
    writer = _writer(socket)
    assert writer.send(b"a")
    writer.write(b"b")
    assert writer.send(b"c")
    assert socket.writes == []
    assert writer.buffered_bytes() == 3
    await _turn()
    assert socket.writes == [b"abc"]
    assert writer.buffered_bytes() == 0


async def test_writer_writes_again_in_the_next_turn() -> None:
    """Flushing leaves the writer ready, alone or with others."""
    first, second, flusher = Socket(), Socket(), TurnFlusher()
    writers = [_writer(first, flusher), _writer(second, flusher)]
    for frame in (b"1", b"2"):
        assert [writer.send(frame) for writer in writers] == [True, True]
        await _turn()
    assert first.writes == second.writes == [b"1", b"2"]


async def test_flusher_writes_at_once_when_asked() -> None:
    """Everything that was gathered until then, once; what comes after still leaves with the turn."""
    first, second, flusher = Socket(), Socket(), TurnFlusher()
    writers = [_writer(first, flusher), _writer(second, flusher)]
    for writer in writers:
        writer.send(b"1")
    flusher.flush()
    assert first.writes == second.writes == [b"1"]
    writers[0].send(b"2")
    await _turn()
    assert (first.writes, second.writes) == ([b"1", b"2"], [b"1"])


async def test_writer_does_not_gather_without_bound() -> None:
    """At the bound what was gathered is written at once."""
    socket = Socket()
    writer = _writer(socket)
    for _ in range(2 * MAX_UNFLUSHED_FRAMES):
        writer.send(b"x")
    assert socket.writes == [b"x" * MAX_UNFLUSHED_FRAMES] * 2


async def test_writer_sends_what_is_left_before_it_ends() -> None:
    """Closing sends first, and nothing after."""
    socket = Socket()
    writer = _writer(socket)
    writer.send(b"last")
    writer.close()
    assert (socket.writes, socket.ended) == ([b"last"], True)
    assert not writer.send(b"late")
    writer.write(b"late")
    await _turn()
    assert socket.writes == [b"last"]
    writer.lost()


async def test_writer_refuses_frames_until_open() -> None:
    """Only the handshake may be written before it is answered."""
    socket = Socket()
    writer = _writer(socket)
    writer.open = False
    assert not writer.send(b"early")
    writer.write(b"HTTP/1.1 101")
    await _turn()
    assert socket.writes == [b"HTTP/1.1 101"]


async def test_writer_that_fails_costs_the_others_nothing() -> None:
    """A socket that broke without a word is dropped; the rest of the turn is written."""
    broken, whole, flusher = Socket(), Socket(), TurnFlusher()
    broken.fails = True
    for socket in (broken, whole):
        _writer(socket, flusher).send(b"x")
    await _turn()
    assert broken.aborted
    assert whole.writes == [b"x"]


async def test_writer_drops_what_is_left_when_the_connection_is_lost() -> None:
    """Nothing is written to a socket that is gone."""
    socket = Socket()
    writer = _writer(socket)
    writer.send(b"x")
    writer.lost()
    await _turn()
    assert socket.writes == []
    assert writer.buffered_bytes() == 0

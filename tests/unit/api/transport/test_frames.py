"""Frames made and found by hand agree with those of ``websockets``."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from exchange.api.transport.frames import binary_frame, frame_span, text_frame

LENGTHS = [0, 1, 125, 126, 127, 255, 256, 65_535, 65_536, 70_000]


@pytest.mark.parametrize("length", LENGTHS)
def test_frames_are_those_of_the_library(length: int) -> None:
    """Each form of the length, at its edges (RFC 6455 section 5.2)."""
    payload = b"x" * length
    assert text_frame(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)
    assert binary_frame(payload) == Frame(Opcode.BINARY, payload).serialize(mask=False)


@pytest.mark.parametrize("length", LENGTHS)
def test_frame_span_finds_payload_and_end(length: int) -> None:
    """A masked frame of the library, wherever it starts and whatever follows."""
    frame = Frame(Opcode.TEXT, b"x" * length).serialize(mask=True)
    payload, end = frame_span(b"before" + frame + b"after", 6)
    assert end == 6 + len(frame)
    assert end - payload == length


@pytest.mark.parametrize("length", LENGTHS)
def test_frame_span_knows_the_end_before_it_arrived(length: int) -> None:
    """Of a frame cut anywhere the span is unknown, or already the true one: never another."""
    frame = Frame(Opcode.TEXT, b"x" * length).serialize(mask=True)
    whole = frame_span(frame, 0)
    for cut in range(15):
        assert frame_span(frame[:cut], 0) in ((0, 0), whole)
    assert frame_span(frame[:10], 0) == whole


@given(st.binary(max_size=40), st.integers(0, 45))
def test_frame_span_takes_any_bytes(data: bytes, start: int) -> None:
    """Garbage has a span that goes on, or none yet."""
    payload, end = frame_span(data, start)
    assert (payload, end) == (0, 0) or start < payload <= end


def test_frame_span_of_an_unmasked_frame_is_its_header() -> None:
    """Enough for the library to refuse it."""
    assert frame_span(b"\x81\x7f", 0) == (2, 2)

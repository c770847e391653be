"""Flows from a seed: the same every time, written and read back unchanged, and playable."""

from pathlib import Path

import pytest

from bench.flowgen import SHAPES, generate
from bench.flows import FlowPlayer, read_flow, write_flow


@pytest.mark.parametrize("name", SHAPES)
def test_generated_flow_depends_on_its_seed_alone(name: str) -> None:
    """Equal arguments give equal messages, another seed gives others."""
    shape = SHAPES[name]
    assert generate(shape, 300, 7) == generate(shape, 300, 7)
    assert generate(shape, 300, 7) != generate(shape, 300, 8)


@pytest.mark.parametrize("name", SHAPES)
def test_generated_flow_is_read_as_written(tmp_path: Path, name: str) -> None:
    """The file has every message; equal messages are equal bytes."""
    messages = generate(SHAPES[name], 300, 7)
    first, second = tmp_path / "first.csv.gz", tmp_path / "second.csv.gz"
    write_flow(first, messages)
    write_flow(second, messages)
    assert read_flow(first) == messages
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("name", SHAPES)
def test_generated_flow_plays(name: str) -> None:
    """Messages are numbered from 0; each is reported; every order is acknowledged once."""
    messages = generate(SHAPES[name], 500, 7)
    assert [message.seq for message in messages] == list(range(len(messages)))
    player = FlowPlayer()
    reports = [player.play(message) for message in messages]
    assert all(reports)
    assert sum(line.startswith("0,") for lines in reports for line in lines) == 500


def test_generated_flows_differ_as_their_names_say() -> None:
    """Overlapping orders trade most, a static market hardly at all."""
    trades = {}
    for name, shape in SHAPES.items():
        player = FlowPlayer()
        for message in generate(shape, 2_000, 7):
            player.play(message)
        trades[name] = player.trades
    assert trades["overlapping"] > 4 * trades["normal"] > 8 * trades["static"]

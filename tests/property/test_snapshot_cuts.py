"""A game that is stopped, saved and loaded after each of its commands is the game that was never stopped."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from exchange.journal.records import decode_batches
from exchange.model.commands import OpenGame, Record
from tests.support.floor import floor
from tests.support.replayed import Replayed
from tests.support.session import ROLES, Session

COMMANDS = 80


async def _play(seed: int) -> list[Record]:
    async with floor(preset="small", roles=ROLES) as running:
        await Session(running, seed).play(COMMANDS)
        await running.stop()
        return list(decode_batches(running.journal.read()))


@settings(max_examples=10)
@given(st.integers(0, 1_000_000), st.integers(0, COMMANDS))
def test_snapshot_after_each_command_changes_nothing(seed: int, cut: int) -> None:
    """The same events with the same numbers after every command, whether saved once or every time."""
    records = asyncio.run(_play(seed))
    assert isinstance(records[0].command, OpenGame)
    whole = Replayed(records[0].command.rules)
    always = once = whole
    for number, record in enumerate(records):
        always = always.reloaded()
        if number == cut:
            once = whole.reloaded()
        told = whole.apply(record)
        assert always.apply(record) == told
        if once is not whole:
            assert once.apply(record) == told
    assert whole.core.state_hash() == always.core.state_hash() == once.core.state_hash()
    assert [*whole.differences(always), *whole.differences(once)] == []

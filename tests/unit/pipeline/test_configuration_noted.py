"""Which settings were in force is in the journal: with the first record, and again when they change."""

from __future__ import annotations

import random
from collections.abc import Iterable

from exchange.app import Exchange
from exchange.base.clock import ManualClock
from exchange.base.entropy import SeededEntropy
from exchange.config import load_config
from exchange.journal.batch import Batch
from exchange.journal.records import decode_batches, encode_batch
from exchange.model.commands import Configuration, NoteConfiguration, OpenGame, Record
from exchange.model.presets import preset_rules
from exchange.services.game.keys import hash_key, key_id
from tests.support.floor import Floor
from tests.support.http_exchange import HoldableJournal

KEY, OTHER_KEY = "itg_first_key_of_a_game", "itg_second_key_of_a_game"
SLOWER: dict[str, object] = {"limits.team_orders_per_second": 5.0}


async def _run(
    batches: Iterable[Batch] = (), settings: dict[str, object] | None = None, key: str = KEY
) -> list[Batch]:
    """Start on ``batches`` and stop; what the journal has then."""
    journal = HoldableJournal(random.Random(1), batches=batches)
    config = load_config(None, {}, {"game.preset": "flow", **(settings or {})})
    exchange = Exchange(config, journal, clock=ManualClock(), entropy=SeededEntropy(1), admin_key=key)
    await exchange.start()
    floor = Floor(exchange, journal)
    await floor.stop()
    return list(journal.read())


def _noted(batches: list[Batch]) -> list[Configuration]:
    """Each configuration, in order."""
    commands = [record.command for record in decode_batches(batches)]
    return [
        command.configuration
        for command in commands
        if isinstance(command, (OpenGame, NoteConfiguration)) and command.configuration is not None
    ]


async def test_configuration_of_the_first_start_is_part_of_the_first_record() -> None:
    """No record of its own: orders begin at the same number as ever. The same again notes nothing."""
    first = await _run()
    assert [batch.last_sequence for batch in first] == [1]
    (noted,) = _noted(first)
    assert noted.admin_key_id == key_id(hash_key(KEY))
    assert '"team_orders_per_second":10000.0' in noted.settings
    assert await _run(first) == first


async def test_configuration_that_changes_is_noted_once() -> None:
    """Another setting, another admin key, and back again; where the server listens is no such setting."""
    batches = await _run()
    for settings, key, count in (
        (SLOWER, KEY, 2),
        (SLOWER, KEY, 2),
        ({**SLOWER, "server.port": 9_999, "server.log_level": "error"}, KEY, 2),
        (SLOWER, OTHER_KEY, 3),
        ({}, KEY, 4),
    ):
        batches = await _run(batches, settings, key)
        assert len(_noted(batches)) == count
    first, slower, other, last = _noted(batches)
    assert '"team_orders_per_second":5.0' in slower.settings
    assert other == Configuration(slower.version, key_id(hash_key(OTHER_KEY)), slower.settings)
    assert last == first


async def test_configuration_is_noted_for_a_game_that_has_none() -> None:
    """The journal of an older version: its first record is as it always was."""
    old = encode_batch([Record(1, 0, OpenGame(preset_rules("flow")))])
    batches = await _run([old])
    assert batches[0] == old
    assert len(_noted(batches)) == 1

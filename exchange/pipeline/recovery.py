"""State = replay(journal): the same code, the same events, the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec

from exchange.base.bounds import REPLAY_PROGRESS_RECORDS
from exchange.base.clock import Clock
from exchange.engine.tape import Tapes
from exchange.journal.batch import Batch, BatchKind
from exchange.journal.protocol import Journal
from exchange.journal.records import decode_batches, encode_batch
from exchange.model.commands import AcceptLoss, OpenGame, Record, Void
from exchange.model.rules import GameRules
from exchange.pipeline.core import Core
from exchange.pipeline.streams import PrivateStreams

CoreFactory = Callable[[GameRules], Core]
Progress = Callable[[int], None]
"""Told the number of records replayed, now and then."""


class Readable(Protocol):
    """A journal, or that of a stopped server."""

    def read(self, after: int = 0, kind: BatchKind | None = None) -> Iterator[Batch]: ...


class ReplayFailure(msgspec.Struct, frozen=True):
    """A command that raises. ``void`` it to go on without it."""

    sequence: int
    error: str


@dataclass(frozen=True, slots=True)
class Recovered:
    """``core`` stands before ``failure.sequence`` when there is a failure, else after the whole journal."""

    core: Core
    streams: PrivateStreams
    tapes: Tapes
    records: int
    failure: ReplayFailure | None = None


class StartError(Exception):
    """The exchange cannot start as asked; the message says what to do."""


class JournalWithoutGame(Exception):
    """The first record is not OpenGame: not a journal of ours, or one cut at the front."""


def journal_rules(journal: Readable) -> GameRules | None:
    """The rules an existing game began with, None for an empty journal."""
    first = next(decode_batches(journal.read()), None)
    if first is None:
        return None
    if not isinstance(first.command, OpenGame):
        raise JournalWithoutGame(f"sequence {first.sequence} is {type(first.command).__name__}")
    return first.command.rules


async def open_game(journal: Journal, wanted: GameRules, build: CoreFactory, clock: Clock) -> GameRules:
    """The rules of the game in ``journal``; an empty journal gets ``wanted`` as its first record.

    Raises StartError when ``wanted`` make no sense, or are not the rules the game began with.
    """
    found = journal_rules(journal)
    if found is None:
        try:
            build(wanted)
        except ValueError as error:
            raise StartError(f"these rules cannot be played: {error}") from error
        await journal.append(encode_batch([Record(1, clock.now_us(), OpenGame(wanted))]))
        return wanted
    if found != wanted:
        names = [name for name in wanted.__struct_fields__ if getattr(wanted, name) != getattr(found, name)]
        raise StartError(
            f"the game in this data directory began with other rules ({', '.join(names)} differ; its preset"
            f" is {found.preset}): give it those settings again, or start a new game with another --data"
        )
    return found


async def note_operator_act(journal: Journal, command: Void | AcceptLoss, clock: Clock) -> None:
    """Append what an operator decided before the server runs; part of the audit like everything else."""
    kind = BatchKind.VOID if isinstance(command, Void) else BatchKind.COMMANDS
    record = Record(journal.last_sequence + 1, clock.now_us(), command)
    await journal.append(encode_batch([record], kind))


def recover(
    journal: Readable,
    rules: GameRules,
    build: CoreFactory,
    *,
    until: int | None = None,
    progress: Progress = lambda records: None,
) -> Recovered:
    """Replay up to ``until``. A command that raises stops the replay *before* it, in a fresh state."""
    voided = frozenset(_voids(journal))
    core, streams = build(rules), PrivateStreams()
    tapes = Tapes((each.instrument_id for each in rules.instruments), daily=rules.schedule is None)
    count = 0
    for record in _records(journal, until):
        if record.sequence in voided:
            core.admission.skip(record)
            continue
        try:
            streams.restore(core.replay(record, tapes.take).private)
        except Exception as error:
            failure = ReplayFailure(record.sequence, f"{type(error).__name__}: {error}")
            before = recover(journal, rules, build, until=record.sequence - 1, progress=progress)
            return replace(before, failure=failure)
        count += 1
        if count % REPLAY_PROGRESS_RECORDS == 0:
            progress(count)
    return Recovered(core, streams, tapes, count)


def _voids(journal: Readable) -> Iterator[int]:
    for record in decode_batches(journal.read(kind=BatchKind.VOID)):
        if isinstance(record.command, Void):
            yield record.command.sequence


def _records(journal: Readable, until: int | None) -> Iterator[Record]:
    for record in decode_batches(journal.read()):
        if until is not None and record.sequence > until:
            return
        yield record

"""State = replay(journal): the same code, the same events, the same numbers.

A snapshot is the state at a place in the journal, so that only what follows has to be replayed. One that is
damaged, or not of this journal, these rules and this program, is passed over: then an older one, then none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import msgspec

from exchange.base.bounds import REPLAY_PROGRESS_RECORDS
from exchange.base.clock import Clock
from exchange.engine.tape import Tapes
from exchange.journal.batch import Batch, BatchKind
from exchange.journal.protocol import Journal
from exchange.journal.records import decode_batches, encode_batch
from exchange.journal.snapshots import SnapshotHead, read_snapshot, sequence_of
from exchange.model.commands import AcceptLoss, Configuration, OpenGame, Record, Void
from exchange.model.rules import GameRules
from exchange.pipeline.core import Core
from exchange.pipeline.state import code_digest, load_state, rules_digest
from exchange.pipeline.streams import PrivateStreams

CoreFactory = Callable[[GameRules], Core]
Progress = Callable[[int], None]
"""Told the number of records replayed, now and then."""


class Readable(Protocol):
    """A journal, or that of a stopped server."""

    def read(self, after: int = 0, kind: BatchKind | None = None) -> Iterator[Batch]: ...
    def chain_at(self, sequence: int) -> bytes | None: ...


class ReplayFailure(msgspec.Struct, frozen=True):
    """A command that raises. ``void`` it to go on without it."""

    sequence: int
    error: str


@dataclass(frozen=True, slots=True)
class Recovered:
    """``core`` stands before ``failure.sequence`` when there is a failure, else after the whole journal.

    ``records`` were replayed, on top of the snapshot of sequence ``snapshot``, 0 for none. ``passed_over``
    says which snapshots were not used, and why. ``hashes`` are the state hashes that were asked for.
    """

    core: Core
    streams: PrivateStreams
    tapes: Tapes
    records: int
    failure: ReplayFailure | None = None
    snapshot: int = 0
    passed_over: tuple[str, ...] = ()
    hashes: Mapping[int, str] = field(default_factory=dict)


class SnapshotUnfit(Exception):
    """A snapshot is intact, and not of this game or this program."""


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


def sequence_at(journal: Readable, time_us: int) -> int:
    """The last sequence whose time is not after ``time_us``, 0 if none is."""
    last = 0
    for record in decode_batches(journal.read()):
        if record.timestamp_us > time_us:
            break
        last = record.sequence
    return last


async def open_game(
    journal: Journal,
    wanted: GameRules,
    build: CoreFactory,
    clock: Clock,
    configuration: Configuration | None = None,
) -> GameRules:
    """The rules of the game in ``journal``; an empty journal gets ``wanted`` as its first record.

    Raises StartError when ``wanted`` make no sense, or are not the rules the game began with.
    """
    found = journal_rules(journal)
    if found is None:
        try:
            build(wanted)
        except ValueError as error:
            raise StartError(f"these rules cannot be played: {error}") from error
        await journal.append(encode_batch([Record(1, clock.now_us(), OpenGame(wanted, configuration))]))
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
    snapshots: Sequence[Path] = (),
    until: int | None = None,
    hashes_at: Collection[int] = (),
    progress: Progress = lambda records: None,
) -> Recovered:
    """Replay up to ``until``, from the first of ``snapshots`` (newest first) that fits.

    A command that raises stops the replay *before* it, in a fresh state. ``hashes_at`` are sequences after
    which the state hash is wanted.
    """
    voided = dict(_voids(journal))
    start = _begin(journal, rules, build, snapshots, until, voided)
    core, streams, tapes, count = start.core, start.streams, start.tapes, 0
    hashes: dict[int, str] = {}
    for record in _records(journal, start.snapshot, until):
        if record.sequence in voided:
            core.admission.skip(record)
            continue
        try:
            streams.restore(core.replay(record, tapes.take).private)
        except Exception as error:
            failure = ReplayFailure(record.sequence, f"{type(error).__name__}: {error}")
            last = record.sequence - 1
            before = recover(journal, rules, build, snapshots=snapshots, until=last, progress=progress)
            return replace(before, failure=failure)
        if record.sequence in hashes_at:
            hashes[record.sequence] = core.state_hash()
        count += 1
        if count % REPLAY_PROGRESS_RECORDS == 0:
            progress(count)
    return replace(start, records=count, hashes=hashes)


def _begin(
    journal: Readable,
    rules: GameRules,
    build: CoreFactory,
    snapshots: Sequence[Path],
    until: int | None,
    voided: Mapping[int, int],
) -> Recovered:
    """The state of the first snapshot that fits, else that of an empty game."""
    passed_over: list[str] = []
    for path in snapshots:
        if until is not None and sequence_of(path) > until:
            continue
        core, streams, tapes = build(rules), PrivateStreams(), empty_tapes(rules)
        try:
            snapshot = read_snapshot(path)
            require_fit(snapshot.head, journal, rules)
            _require_unvoided(snapshot.head, voided)
            load_state(snapshot.payload, core, streams, tapes)
        except Exception as error:
            # Whatever is wrong with it, the journal knows better.
            passed_over.append(f"{path.name}: {str(error) or type(error).__name__}")
            continue
        found = Recovered(core, streams, tapes, 0, snapshot=snapshot.head.sequence)
        return replace(found, passed_over=tuple(passed_over))
    empty = build(rules), PrivateStreams(), empty_tapes(rules)
    return Recovered(*empty, 0, passed_over=tuple(passed_over))


def empty_tapes(rules: GameRules) -> Tapes:
    """The tapes of a game in which nothing has traded."""
    return Tapes((each.instrument_id for each in rules.instruments), daily=rules.schedule is None)


def require_fit(head: SnapshotHead, journal: Readable, rules: GameRules) -> None:
    """Raise SnapshotUnfit unless it is of this program, these rules and this journal."""
    if head.code != code_digest():
        raise SnapshotUnfit("another version of the program made it")
    if head.rules != rules_digest(rules):
        raise SnapshotUnfit("it is of a game with other rules")
    if journal.chain_at(head.sequence) != head.chain:
        raise SnapshotUnfit("it is of another journal")


def _require_unvoided(head: SnapshotHead, voided: Mapping[int, int]) -> None:
    if any(sequence <= head.sequence < noted_at for sequence, noted_at in voided.items()):
        raise SnapshotUnfit("what it was made of has been voided since")


def _voids(journal: Readable) -> Iterator[tuple[int, int]]:
    """What is voided, and the sequence that says so."""
    for record in decode_batches(journal.read(kind=BatchKind.VOID)):
        if isinstance(record.command, Void):
            yield record.command.sequence, record.sequence


def _records(journal: Readable, after: int, until: int | None) -> Iterator[Record]:
    # A snapshot that fits ends with a batch, so the first batch begins right after it.
    for record in decode_batches(journal.read(after)):
        if until is not None and record.sequence > until:
            return
        yield record

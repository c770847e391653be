"""Taking a snapshot: the recovery code comes to a state, and what was written is loaded before it counts."""

from __future__ import annotations

from pathlib import Path

import msgspec

from exchange.journal.protocol import JournalDamaged, JournalForeign, JournalMissing
from exchange.journal.snapshots import (
    Snapshot,
    SnapshotHead,
    read_snapshot,
    sequence_of,
    snapshot_paths,
    write_snapshot,
)
from exchange.journal.stopped import open_readable
from exchange.model.rules import GameRules
from exchange.pipeline.core import Core
from exchange.pipeline.recovery import (
    CoreFactory,
    Progress,
    Readable,
    Recovered,
    SnapshotUnfit,
    empty_tapes,
    journal_rules,
    recover,
    require_fit,
)
from exchange.pipeline.state import code_digest, encode_state, load_state, rules_digest
from exchange.pipeline.streams import PrivateStreams


class SnapshotTaken(msgspec.Struct, frozen=True):
    """What was written; ``replayed`` records on top of the snapshot of ``based_on``, 0 for none."""

    sequence: int
    path: str
    payload_bytes: int
    based_on: int
    replayed: int
    state_hash: str


def take_snapshot(
    data_dir: Path, build: CoreFactory, progress: Progress = lambda records: None
) -> SnapshotTaken | None:
    """Snapshot of what is durable now, beside a running server or without; None where the newest says it all.

    Raises JournalError, OSError, SnapshotUnfit when there is no state to take one of.
    """
    journal = open_readable(data_dir)
    rules = journal_rules(journal)
    if rules is None:
        raise JournalMissing(f"no game in {data_dir}")
    recovered = recover(journal, rules, build, snapshots=snapshot_paths(data_dir), progress=progress)
    if recovered.failure is not None:
        raise SnapshotUnfit(f"replay fails at sequence {recovered.failure.sequence}")
    if not recovered.records and recovered.snapshot:
        return None
    head = _head(journal, rules, recovered.core)
    payload = encode_state(recovered.core, recovered.streams, recovered.tapes)
    path = write_snapshot(data_dir, head, payload, lambda found: _verify(found, rules, build))
    return SnapshotTaken(
        head.sequence,
        str(path),
        len(payload),
        recovered.snapshot,
        recovered.records,
        head.state_hash.hex(),
    )


class SnapshotState(msgspec.Struct, frozen=True):
    """A snapshot as a check finds it. ``problem`` is None for one that a start would use."""

    sequence: int
    name: str
    state_hash: str | None = None
    problem: str | None = None


def look_at_snapshots(data_dir: Path) -> list[SnapshotState]:
    """Every snapshot of a game, newest first, as far as it can be judged without a replay.

    Raises JournalError for the journal beside them.
    """
    journal = open_readable(data_dir)
    rules = journal_rules(journal)
    found = []
    for path in snapshot_paths(data_dir):
        sequence, state_hash, problem = sequence_of(path), None, None
        try:
            head = read_snapshot(path).head
            state_hash = head.state_hash.hex()
            if rules is not None:
                require_fit(head, journal, rules)
        except (JournalDamaged, JournalForeign, SnapshotUnfit) as error:
            problem = str(error)
        found.append(SnapshotState(sequence, path.name, state_hash, problem))
    return found


def describe(recovered: Recovered) -> str:
    """How a state was come to, in words."""
    records = "1 record" if recovered.records == 1 else f"{recovered.records} records"
    after = f" after the snapshot of {recovered.snapshot}" if recovered.snapshot else ""
    return f"{records} replayed{after}"


def _head(journal: Readable, rules: GameRules, core: Core) -> SnapshotHead:
    admission = core.admission
    chain = journal.chain_at(admission.last_sequence)
    if chain is None:
        raise JournalDamaged("journal.db", "a batch it had is gone", admission.last_sequence)
    return SnapshotHead(
        admission.last_sequence,
        admission.last_timestamp_us,
        chain,
        rules_digest(rules),
        code_digest(),
        bytes.fromhex(core.state_hash()),
    )


def _verify(found: Snapshot, rules: GameRules, build: CoreFactory) -> None:
    core = build(rules)
    load_state(found.payload, core, PrivateStreams(), empty_tapes(rules))
    if core.state_hash() != found.head.state_hash.hex():
        raise SnapshotUnfit("loaded again it is another state")

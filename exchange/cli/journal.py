"""``exchange check-journal``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from exchange.app import replay_journal
from exchange.cli.console import DEFAULT_DATA, complain, count_records, fail, out
from exchange.journal.check import CheckReport, check
from exchange.journal.protocol import JournalError
from exchange.pipeline.snapshot import SnapshotState, look_at_snapshots


def check_journal(
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of the game, no server running on it.")
    ] = DEFAULT_DATA,
    replay: Annotated[
        bool,
        typer.Option(help="Also replay the whole game: print its state hash, check the snapshots by it."),
    ] = True,
) -> None:
    """Verify a stopped game: checksums, hash chain, sequence, head, snapshots, and that it replays.

    Exit code 1 when anything is wrong with it. A snapshot of another version of the program is not wrong: a
    start passes it over.
    """
    try:
        report = check(data, count_records)
        table = _table(data, report)
        problems = list(report.problems)
        if not problems:
            snapshots = look_at_snapshots(data)
            for each in snapshots:
                table.add_row(f"snapshot {each.sequence}", each.problem or "intact")
            problems += (f"{each.name}: {each.problem}" for each in snapshots if each.state_hash is None)
            if replay:
                problems += _replay(data, table, snapshots)
    except JournalError as error:
        fail(str(error))
    out.print(table)
    for problem in problems:
        complain(problem)
    raise typer.Exit(1 if problems else 0)


def _table(data: Path, report: CheckReport) -> Table:
    table = Table("journal", str(data))
    for name in report.__struct_fields__:
        if name != "problems":
            table.add_row(name.replace("_", " "), str(getattr(report, name)))
    return table


def _replay(data: Path, table: Table, snapshots: Iterable[SnapshotState]) -> Iterator[str]:
    fit = {each.sequence: each for each in snapshots if each.problem is None}
    replayed = replay_journal(data, hashes_at=fit.keys(), progress=count_records)
    table.add_row("state hash", replayed.core.state_hash())
    if replayed.failure is not None:
        yield f"replay fails at sequence {replayed.failure.sequence}: {replayed.failure.error}"
    yield from _compare(fit, replayed.hashes)


def _compare(snapshots: Mapping[int, SnapshotState], hashes: Mapping[int, str]) -> Iterator[str]:
    for sequence, state_hash in hashes.items():
        said = snapshots[sequence].state_hash
        if said != state_hash:
            yield f"{snapshots[sequence].name}: its state is {said}, the replay comes to {state_hash}"

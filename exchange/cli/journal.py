"""``exchange check-journal``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table

from exchange.app import replay_journal
from exchange.cli.console import complain, count_records, fail, out
from exchange.config import Config
from exchange.journal.check import check
from exchange.journal.protocol import JournalError

DEFAULT_DATA: Final = Path(Config().server.data)


def check_journal(
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of the game, no server running on it.")
    ] = DEFAULT_DATA,
    replay: Annotated[bool, typer.Option(help="Also replay the game and print its state hash.")] = True,
) -> None:
    """Verify a stopped game's journal: checksums, hash chain, sequence, head, and that it replays.

    Exit code 1 when anything is wrong with it.
    """
    try:
        report = check(data, count_records)
        table = Table("journal", str(data))
        for name in report.__struct_fields__:
            if name != "problems":
                table.add_row(name.replace("_", " "), str(getattr(report, name)))
        problems = list(report.problems)
        if replay and not problems:
            replayed = replay_journal(data, count_records)
            table.add_row("state hash", replayed.core.state_hash())
            if replayed.failure is not None:
                failure = replayed.failure
                problems.append(f"replay fails at sequence {failure.sequence}: {failure.error}")
    except JournalError as error:
        fail(str(error))
    out.print(table)
    for problem in problems:
        complain(problem)
    raise typer.Exit(1 if problems else 0)

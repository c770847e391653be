"""``exchange replay``: what a game was like after any of its commands."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table
from rich.text import Text

from exchange.app import replay_journal
from exchange.cli.console import DEFAULT_DATA, DataOption, complain, count_records, fail, out
from exchange.journal.protocol import JournalError
from exchange.journal.stopped import open_readable
from exchange.pipeline.core import Core
from exchange.pipeline.recovery import JournalWithoutGame, Recovered, sequence_at
from exchange.wire.ids import team_id_text
from exchange.wire.times import time_text

_MONEY: Final = 10_000
"""Units of money in one of the currency."""


def replay(
    data: DataOption = DEFAULT_DATA,
    until: Annotated[
        str | None,
        typer.Option(
            metavar="SEQ|TIME",
            help="Stop after this sequence, or after the last command up to this time, such as"
            " 2026-03-01T09:30:00Z (UTC where it names no zone).",
            show_default="the end",
        ),
    ] = None,
    snapshots: Annotated[bool, typer.Option(help="Start from the nearest snapshot.")] = True,
) -> None:
    """Replay a game up to any moment and print its state hash, positions and open orders.

    Changes nothing; the server may be running. Exit code 1 when the game cannot be replayed that far.
    """
    try:
        last = None if until is None else _sequence(data, until)
        replayed = replay_journal(data, until=last, snapshots=snapshots, progress=count_records)
    except (JournalError, JournalWithoutGame) as error:
        fail(str(error))
    for why in replayed.passed_over:
        complain(f"snapshot passed over: {why}")
    show_state(replayed)
    if replayed.failure is not None:
        fail(f"replay fails at sequence {replayed.failure.sequence}: {replayed.failure.error}")
    if last is not None and replayed.core.admission.last_sequence < last:
        fail(f"the journal ends at {replayed.core.admission.last_sequence}")


def show_state(replayed: Recovered) -> None:
    """Two tables: the game, and its teams."""
    core = replayed.core
    admission = core.admission
    game = Table("game", core.rules.preset)
    game.add_row("sequence", str(admission.last_sequence))
    game.add_row("time", time_text(admission.last_timestamp_us))
    game.add_row("phase", admission.phase.value)
    game.add_row("from the snapshot of", str(replayed.snapshot or "none"))
    game.add_row("records replayed", str(replayed.records))
    game.add_row("open orders", str(core.venue.statistics().live_orders))
    game.add_row("state hash", core.state_hash())
    out.print(game)
    teams = Table("team", "name", "open orders", "positions", "cash", "fees")
    for team in core.teams.all():
        teams.add_row(team_id_text(team.account), Text(team.name), *_books(core, team.account))
    if teams.row_count:
        out.print(teams)


def _books(core: Core, account: int) -> tuple[str, str, str, str]:
    lines = core.ledger.positions(account)
    held = ", ".join(f"{name} {line.position:+}" for name, line in lines.items() if line.position)
    cash, fees = core.ledger.cash(account), core.ledger.fees(account)
    orders = len(core.register.open_orders(account))
    return str(orders), held or "flat", _money(cash), _money(fees)


def _money(amount: int) -> str:
    whole, rest = divmod(abs(amount), _MONEY)
    return f"{'-' if amount < 0 else ''}{whole:,}.{rest:04}"


def _sequence(data: Path, until: str) -> int:
    if until.isdecimal():
        return int(until)
    try:
        moment = datetime.fromisoformat(until)
    except ValueError:
        fail(f"--until {until}: neither a sequence nor a time such as 2026-03-01T09:30:00Z", 2)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return sequence_at(open_readable(data), round(moment.timestamp() * 1_000_000))

"""``exchange audit``: what operators did to a game, read from its journal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer
from rich.table import Table
from rich.text import Text

from exchange.cli.console import DEFAULT_DATA, DataOption, complain, count_records, fail, out, say
from exchange.journal.check import check
from exchange.journal.protocol import JournalError
from exchange.journal.records import decode_batch
from exchange.journal.stopped import open_readable
from exchange.model.commands import OpenGame, Record
from exchange.services.settlement.audit import AuditTrail
from exchange.wire.audit import audit_act
from exchange.wire.data import AuditAct

app = typer.Typer(
    help="Read the audit of a game: who registered, what operators did, which settings were in force.",
    no_args_is_help=True,
)

_SHOWN: Final = 110
"""Characters of an act's details in a table; `--json` has them all."""

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON object a line, nothing cut off.")]


class Broken(Exception):
    """A record that the journal's seals let through and that is none all the same."""


@app.command("list")
def list_acts(data: DataOption = DEFAULT_DATA, as_json: JsonOption = False) -> None:
    """List every act of a game, oldest first. The server may be running."""
    try:
        _show(_acts(data), as_json=as_json)
    except (JournalError, Broken) as error:
        fail(str(error))


@app.command()
def verify(
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of the game, no server running on it.")
    ] = DEFAULT_DATA,
    as_json: JsonOption = False,
) -> None:
    """Verify that nothing was changed, left out or put in, and list the acts.

    Checksums, hash chain, head and sequence of the whole journal. Exit code 1 when anything is wrong, and
    the first broken record is named; the acts before it are listed.
    """
    try:
        report = check(data, count_records)
        problems = list(report.problems)
        try:
            _show(_acts(data), as_json=as_json)
        except (JournalError, Broken) as error:
            problems = problems or [str(error)]
    except JournalError as error:
        fail(str(error))
    if problems:
        complain(f"records up to {report.last_sequence} hold")
        for problem in problems:
            complain(problem)
        raise typer.Exit(1)
    if not as_json:
        say(f"verified: {report.records} records, the last is {report.last_sequence}, chain {report.chain}")


def _acts(data: Path) -> Iterator[AuditAct]:
    trail = AuditTrail(kept=1)
    for record in _records(data):
        entry = trail.note(record)
        if entry is not None:
            yield audit_act(entry.sequence, entry.timestamp_us, entry.command, entry.operator)


def _records(data: Path) -> Iterator[Record]:
    """Every record, in order. Raises Broken for one that does not follow, JournalError."""
    sequence = timestamp_us = 0
    for batch in open_readable(data).read():
        try:
            records = decode_batch(batch)
        except msgspec.MsgspecError as error:
            raise Broken(f"sequence {batch.first_sequence} cannot be read: {error}") from error
        for record in records:
            if record.sequence != sequence + 1 or record.timestamp_us < timestamp_us:
                raise Broken(f"sequence {record.sequence} does not follow {sequence}")
            if (record.sequence == 1) is not isinstance(record.command, OpenGame):
                raise Broken(f"sequence {record.sequence} does not begin a game")
            sequence, timestamp_us = record.sequence, record.timestamp_us
            yield record
        if sequence != batch.last_sequence:
            raise Broken(f"the batch that ends with {batch.last_sequence} has records up to {sequence}")


def _show(acts: Iterator[AuditAct], *, as_json: bool) -> None:
    """Whatever could be read is shown, also where reading ends in an error."""
    if as_json:
        for act in acts:
            say(msgspec.json.encode(act).decode())
        return
    table = Table("sequence", "time", "who", "act", "details")
    try:
        for act in acts:
            when = Text(act.timestamp[:19].replace("T", " ") + " UTC")
            table.add_row(str(act.sequence), when, Text(_who(act)), act.act, Text(_details(act)))
    finally:
        out.print(table)


def _who(act: AuditAct) -> str:
    return act.actor if act.admin_key_id is None else f"{act.actor} {act.admin_key_id}"


def _details(act: AuditAct) -> str:
    text = ", ".join(f"{name} {_plain(value)}" for name, value in act.details.items())
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)

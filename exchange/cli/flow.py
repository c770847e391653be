"""``exchange flow``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from exchange.base.bounds import MAX_FLOW_CLIENTS
from exchange.cli.console import complain, errors, exchange_url, fail, say
from exchange.client import ExchangeError
from exchange.flow.errors import FlowFailed, RecordingError, Unreproducible
from exchange.flow.recording import Recording, read_recording
from exchange.flow.report import Kind, ReportStream
from exchange.flow.run import run_flow
from exchange.flow.session import OrderEntry, Outcome, Settings
from exchange.process import ServerDidNotStart

EXIT_OTHER_REPORTS = 1
EXIT_UNREPRODUCIBLE = 2
EXIT_INTERRUPTED = 130


def _sha256(text: str) -> str:
    if not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise typer.BadParameter("a SHA-256 is 64 hexadecimal digits")
    return text.lower()


FileArgument = Annotated[
    Path,
    typer.Argument(
        exists=True,
        dir_okay=False,
        metavar="FILE",
        show_default=False,
        help="Recorded order flow, csv or csv.gz.",
    ),
]
UrlOption = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        parser=exchange_url,
        help="Play on this exchange instead of one started for the purpose.",
        show_default=False,
    ),
]
TransportOption = Annotated[
    OrderEntry, typer.Option(help="How orders go in; events always come over WebSocket.")
]
ClientsOption = Annotated[
    int, typer.Option(min=1, max=MAX_FLOW_CLIENTS, metavar="N", help="Teams that share the orders.")
]
ExpectOption = Annotated[
    str | None,
    typer.Option(parser=_sha256, metavar="SHA256", show_default=False, help="What the reports must hash to."),
]
CodeOption = Annotated[
    str | None,
    typer.Option(metavar="CODE", show_default=False, help="Invite code of the exchange, if it has one."),
]
InstrumentOption = Annotated[
    str | None,
    typer.Option(metavar="ID", show_default="FLOW, else the first", help="Instrument to play in."),
]
RoleOption = Annotated[
    str | None,
    typer.Option(metavar="ROLE", show_default="open, fewest constraints", help="Role of the teams."),
]
ReportsOption = Annotated[
    Path | None,
    typer.Option(dir_okay=False, metavar="FILE", show_default=False, help="Write the reports to this file."),
]


def flow(
    file: FileArgument,
    *,
    url: UrlOption = None,
    transport: TransportOption = OrderEntry.WS,
    clients: ClientsOption = 4,
    expect: ExpectOption = None,
    invite_code: CodeOption = None,
    instrument: InstrumentOption = None,
    role: RoleOption = None,
    reports: ReportsOption = None,
) -> None:
    """Play a recorded order flow and hash what the clients were told about it.

    Several clients send the messages of FILE in their order, each when everything about the one before has
    reached every client. What the private streams tell becomes a stream of reports: the same flow gives the
    same SHA-256 on every correct exchange.

    Exit code 0: played, and as expected. 1: other reports than expected, or something went wrong. 2: the
    exchange has a rule, which is named, under which the flow gives other reports; or a wrong command line.
    """
    settings = Settings(
        order_entry=transport,
        clients=clients,
        invite_code=invite_code,
        instrument_id=instrument,
        role=role,
    )
    outcome = _play(url, _read(file), settings, file.name)
    if reports is not None:
        _write(reports, outcome.reports)
    _tell(file.name, outcome, settings)
    if expect is not None and outcome.reports.sha256() != expect:
        fail(f"other reports than expected: {expect} was expected", EXIT_OTHER_REPORTS)


def _read(file: Path) -> Recording:
    try:
        return read_recording(file)
    except RecordingError as error:
        fail(str(error), EXIT_UNREPRODUCIBLE)


def _play(url: str | None, recording: Recording, settings: Settings, name: str) -> Outcome:
    try:
        with _progress() as progress:
            bar = progress.add_task(name, total=len(recording.messages))
            outcome = run_flow(url, recording, settings, lambda done: progress.update(bar, completed=done))
    except Unreproducible as error:
        complain(f"this flow cannot be reproduced on {url or 'the exchange started for it'}:")
        for rule in error.rules:
            errors.print(f"  {rule}", markup=False, soft_wrap=True)
        raise typer.Exit(EXIT_UNREPRODUCIBLE) from None
    except (FlowFailed, ExchangeError, ServerDidNotStart) as error:
        fail(str(error))
    if outcome is None:
        fail("interrupted", EXIT_INTERRUPTED)
    return outcome


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )


def _write(path: Path, reports: ReportStream) -> None:
    try:
        path.write_text(reports.text(), encoding="ascii", newline="\n")
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror}")


def _tell(name: str, outcome: Outcome, settings: Settings) -> None:
    reports = outcome.reports
    counts = ", ".join(f"{reports.counts[kind]:,} {_WORDS[kind]}" for kind in Kind)
    rate = outcome.messages / outcome.seconds if outcome.seconds else 0.0
    entry, clients = settings.order_entry.value, settings.clients
    say(f"flow      {name}: {outcome.messages:,} messages of {clients} clients, order entry by {entry}")
    say(f"reports   {len(reports):,}: {counts}")
    say(f"rate      {rate:,.0f} messages/s, {outcome.seconds:.1f} s")
    say(f"sha256    {reports.sha256()}")


_WORDS = {
    Kind.ACKNOWLEDGED: "acknowledged",
    Kind.TRADE: "trades",
    Kind.CANCELLED: "cancelled",
    Kind.AMENDED: "amended",
    Kind.CANCEL_REFUSED: "cancels refused",
    Kind.AMEND_REFUSED: "amends refused",
}

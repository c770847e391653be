"""The command ``exchange``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any, NoReturn

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from exchange.app import replay_journal
from exchange.config import Config, ConfigError, load_config
from exchange.journal.check import check
from exchange.journal.protocol import JournalError
from exchange.log import configure_logging
from exchange.pipeline.recovery import StartError
from exchange.serve import Acts, run_server

app = typer.Typer(
    name="exchange",
    help="Run an exchange that bots trade on over HTTP and WebSocket.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
config_app = typer.Typer(help="Look at the settings.", no_args_is_help=True)
team_app = typer.Typer(help="Manage teams on a running server, with the admin key.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(team_app, name="team")

_errors = Console(stderr=True)
_out = Console()

ConfigOption = Annotated[Path | None, typer.Option("--config", help="Settings, a TOML file.")]
DataOption = Annotated[
    Path | None, typer.Option("--data", help="Folder of the game: journal and admin key. Made when absent.")
]
PresetOption = Annotated[str | None, typer.Option(help="Rules to start a new game with, e.g. small or flow.")]
UrlOption = Annotated[str, typer.Option(help="Where the server listens.", envvar="EXCHANGE_URL")]
KeyOption = Annotated[
    Path,
    typer.Option("--admin-key", help="File with the admin key.", envvar="EXCHANGE_ADMIN_KEY_FILE"),
]
DEFAULT_KEY = Path("data/exchange/admin.key")
DEFAULT_URL = "http://127.0.0.1:8000"


@app.command()
def serve(
    config: ConfigOption = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on [default: 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="Port, 0 for a free one [default: 8000].")] = None,
    data: DataOption = None,
    preset: PresetOption = None,
    void: Annotated[
        int | None, typer.Option(help="Skip this sequence for ever: for a command that makes replay fail.")
    ] = None,
    accept_loss_after: Annotated[
        int | None, typer.Option(help="Give up everything after this sequence of a damaged journal.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why; kept in the journal. Needed with the two above.")] = "",
) -> None:
    """Start the exchange. One line says when it is ready; Ctrl-C drains and stops it."""
    given = {"server.host": host, "server.port": port, "game.preset": preset}
    settings = _settings(config, {**given, "server.data": data and str(data)})
    if (void is not None or accept_loss_after is not None) and not reason:
        _fail("--void and --accept-loss-after need --reason TEXT: it goes into the journal")
    configure_logging(settings.server.log_level, json=settings.server.log_format == "json")
    try:
        acts = Acts(void, accept_loss_after, reason)
        code = run_server(settings, acts, lambda ready: _say(ready.line()), _count_records)
    except (JournalError, StartError) as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"cannot listen on {settings.server.host}:{settings.server.port}: {error.strerror or error}")
    raise typer.Exit(code)


@app.command("check-journal")
def check_journal(
    data: DataOption = None,
    replay: Annotated[bool, typer.Option(help="Also replay the game and print its state hash.")] = True,
) -> None:
    """Verify a stopped game's journal: checksums, hash chain, sequence, head, and that it replays."""
    folder = data or Path(Config().server.data)
    try:
        report = check(folder, _count_records)
        table = Table("journal", str(folder), show_header=True)
        for name in report.__struct_fields__:
            if name != "problems":
                table.add_row(name.replace("_", " "), str(getattr(report, name)))
        if replay and not report.problems:
            replayed = replay_journal(folder, _count_records)
            table.add_row("state hash", replayed.core.state_hash())
            if replayed.failure is not None:
                _out.print(table)
                _fail(f"replay fails at sequence {replayed.failure.sequence}: {replayed.failure.error}")
    except JournalError as error:
        _fail(str(error))
    _out.print(table)
    for problem in report.problems:
        _errors.print(f"[red]{problem}[/red]")
    raise typer.Exit(1 if report.problems else 0)


@config_app.command("show")
def config_show(config: ConfigOption = None, preset: PresetOption = None, as_json: bool = False) -> None:
    """Print every setting in force and where a game would start from, as TOML-like lines or JSON."""
    settings = _settings(config, {"game.preset": preset})
    values = msgspec.to_builtins(settings)
    if as_json:
        sys.stdout.write(json.dumps(values, indent=2) + "\n")
        return
    for section, entries in values.items():
        _out.print(f"[bold]\\[{section}][/bold]")
        for name, value in entries.items():
            _out.print(f"{name} = {json.dumps(value)}" if value is not None else f"# {name} is not set")
        _out.print()


def main() -> None:
    """Entry point of the command."""
    app()


def _settings(config: Path | None, overrides: dict[str, Any]) -> Config:
    try:
        return load_config(config, os.environ, overrides)
    except ConfigError as error:
        _fail(str(error))


def _count_records(records: int) -> None:
    """Progress of long work, on standard error, where a person looks at it."""
    if _errors.is_terminal:
        _errors.print(f"[dim]{records:,} records[/dim]", end="\r")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _fail(message: str) -> NoReturn:
    _errors.print(f"[red]exchange:[/red] {message}", highlight=False)
    raise typer.Exit(1)

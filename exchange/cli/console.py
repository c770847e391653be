"""What commands say to people: results on standard output, everything else on standard error."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from exchange.client import HttpTransport
from exchange.config import Config
from exchange.model.presets import PRESETS

_WIDTH_OF_A_PIPE: Final = 200
"""Columns for a reader that is no terminal: rows of a table stay whole."""

ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Settings, a TOML file.", show_default=False)
]
PresetOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help=f"Rules to start a new game with: {', '.join(PRESETS)}.",
        show_default=Config().game.preset,
    ),
]


DEFAULT_DATA: Final = Path(Config().server.data)
DataOption = Annotated[Path, typer.Option(metavar="DIR", help="Folder of the game.")]


def exchange_url(text: str) -> str:
    """Parser of an option that names an exchange."""
    try:
        HttpTransport(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return text


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False)
    if not console.is_terminal:
        console.width = _WIDTH_OF_A_PIPE
    return console


out: Final = _console(stderr=False)
errors: Final = _console(stderr=True)


def say(line: str) -> None:
    """One line of a result, as it is, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def complain(message: str) -> None:
    """Say what is wrong and go on."""
    errors.print(f"[red]exchange:[/red] {escape(message)}", soft_wrap=True)


def fail(message: str, code: int = 1) -> NoReturn:
    """Say what is wrong and end with ``code``."""
    complain(message)
    raise typer.Exit(code)


def count_records(records: int) -> None:
    """Progress of long work, where a person looks at it."""
    if errors.is_terminal:
        errors.print(f"[dim]{records:,} records[/dim]", end="\r")

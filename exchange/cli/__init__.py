"""The command ``exchange``."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from exchange import __version__
from exchange.api.context import API_VERSION
from exchange.cli import (
    audit,
    backup,
    demo,
    export,
    flow,
    journal,
    project,
    replay,
    serve,
    settings,
    simulate,
    snapshot,
    team,
)
from exchange.cli.console import say

app = typer.Typer(
    name="exchange",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command()(serve.serve)
app.command()(demo.demo)
app.command()(flow.flow)
app.command()(simulate.simulate)
app.add_typer(team.app, name="team")
app.command("check-journal")(journal.check_journal)
app.command()(project.project)
app.command()(export.export)
app.command()(replay.replay)
app.command()(snapshot.snapshot)
app.command()(backup.backup)
app.command()(backup.restore)
app.add_typer(audit.app, name="audit")
app.add_typer(settings.app, name="config")


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"exchange {__version__}, API version {API_VERSION}")
        raise typer.Exit


@app.callback()
def command(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Run an exchange that bots trade on over HTTP and WebSocket."""


def main() -> None:
    """Entry point of the command."""
    # Commands say themselves what went wrong; a log is for `serve`, which sets one up.
    logging.getLogger("exchange").addHandler(logging.NullHandler())
    app()

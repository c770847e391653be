"""``exchange project``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from exchange.cli.console import ConfigOption, fail, say
from exchange.cli.settings import load
from exchange.journal.follow import JournalReplaced
from exchange.journal.protocol import JournalError
from exchange.log import configure_logging
from exchange.projection.follower import FollowTerms
from exchange.projection.projector import ReplayStopped
from exchange.projection.run import run_follower, tell_line
from exchange.storage.errors import StorageError
from exchange.storage.progress import ProjectionReport


def project(
    config: ConfigOption = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the game.", show_default=False)
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Database; without it, and without `url` in `[storage]`, an SQLite file in the folder.",
            show_default=False,
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with what comes, until Ctrl-C.")] = False,
    rebuild: Annotated[bool, typer.Option("--rebuild", help="Drop the tables and make them anew.")] = False,
    supervised: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Write what happened in a game into SQL tables, beside its server or after it has stopped.

    `exchange serve` does this by itself, in a process of its own.
    """
    settings = load(config, {"server.data": data and str(data), "storage.url": url})
    configure_logging(settings.server.log_level, json=settings.server.log_format == "json")
    storage = settings.storage
    terms = FollowTerms(
        follow=follow, rebuild=rebuild, poll_s=storage.poll_interval_s, drain_s=storage.drain_timeout_s
    )
    try:
        report = tell_line if supervised else _ignore
        reached = run_follower(
            Path(settings.server.data), storage.url, terms, supervised=supervised, report=report
        )
    except (StorageError, JournalError, JournalReplaced, ReplayStopped) as error:
        fail(str(error))
    if not supervised:
        say(f"the tables are at sequence {reached.sequence}")


def _ignore(report: ProjectionReport) -> None:
    """A person reads the log."""

"""``exchange project``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from exchange.base.bounds import PROJECTION_DETAIL
from exchange.cli.console import ConfigOption, fail, say
from exchange.cli.settings import load
from exchange.journal.follow import JournalReplaced
from exchange.journal.protocol import JournalError
from exchange.log import configure_logging
from exchange.storage.errors import StorageError
from exchange.storage.progress import ProjectionReport, ProjectionState


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
    # Every other command would load SQLAlchemy with this one, the server too.
    from exchange.projection import run  # noqa: PLC0415

    settings = load(config, {"server.data": data and str(data), "storage.url": url})
    configure_logging(settings.server.log_level, json=settings.server.log_format == "json")
    storage = settings.storage
    terms = run.FollowTerms(
        follow=follow, rebuild=rebuild, poll_s=storage.poll_interval_s, drain_s=storage.drain_timeout_s
    )
    try:
        report = run.tell_line if supervised else _ignore
        reached = run.run_follower(
            Path(settings.server.data), storage.url, terms, supervised=supervised, report=report
        )
    except (StorageError, JournalError, JournalReplaced, run.ReplayStopped) as error:
        if supervised:
            run.tell_line(ProjectionReport(ProjectionState.DOWN, 0, str(error)[:PROJECTION_DETAIL]))
        fail(str(error))
    if not supervised:
        say(f"the tables are at sequence {reached.sequence}")


def _ignore(report: ProjectionReport) -> None:
    """A person reads the log."""

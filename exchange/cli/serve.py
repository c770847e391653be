"""``exchange serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from exchange.cli.console import ConfigOption, PresetOption, count_records, fail, say
from exchange.cli.settings import load
from exchange.config import ServerConfig
from exchange.journal.protocol import JournalError
from exchange.log import configure_logging
from exchange.pipeline.recovery import StartError
from exchange.serve import Acts, run_server

_DEFAULT: Final = ServerConfig()


def serve(
    config: ConfigOption = None,
    host: Annotated[
        str | None,
        typer.Option(metavar="HOST", help="Address to listen on.", show_default=_DEFAULT.host),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(metavar="PORT", help="Port, 0 for a free one.", show_default=str(_DEFAULT.port)),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of the game: journal and admin key. Made when absent.",
            show_default=_DEFAULT.data,
        ),
    ] = None,
    preset: PresetOption = None,
    void: Annotated[
        int | None,
        typer.Option(
            metavar="SEQ",
            help="Skip this sequence for ever: for a command that makes replay fail.",
            show_default=False,
        ),
    ] = None,
    accept_loss_after: Annotated[
        int | None,
        typer.Option(
            metavar="SEQ",
            help="Give up everything after this sequence of a damaged journal.",
            show_default=False,
        ),
    ] = None,
    reason: Annotated[
        str,
        typer.Option(
            metavar="TEXT", help="Why; kept in the journal. Needed with the two above.", show_default=False
        ),
    ] = "",
) -> None:
    """Start the exchange. One line says when it is ready; Ctrl-C drains and stops it."""
    given = {"server.host": host, "server.port": port, "game.preset": preset}
    settings = load(config, {**given, "server.data": data and str(data)})
    if (void is not None or accept_loss_after is not None) and not reason:
        fail("--void and --accept-loss-after need --reason TEXT: it goes into the journal", 2)
    configure_logging(settings.server.log_level, json=settings.server.log_format == "json")
    try:
        acts = Acts(void, accept_loss_after, reason)
        code = run_server(settings, acts, lambda ready: say(ready.line()), count_records)
    except (JournalError, StartError) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{settings.server.data}: {error.strerror or error}")
    raise typer.Exit(code)

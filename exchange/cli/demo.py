"""``exchange demo``."""

from __future__ import annotations

from typing import Annotated

import typer

from exchange.cli.console import fail, out
from exchange.demo.run import DemoSettings, run_demo


def demo(
    seconds: Annotated[
        float | None,
        typer.Option(
            min=0.1, envvar="DEMO_SECONDS", metavar="S", show_default="never", help="Stop after this long."
        ),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", envvar="DEMO_KEEP", help="Keep journal and logs in ./data.")
    ] = False,
    port: Annotated[
        int, typer.Option(min=0, max=65_535, metavar="PORT", help="A free one is taken when it is busy.")
    ] = 8000,
) -> None:
    """Show a live market: a server and nine bots in three roles that trade on it over HTTP and WebSocket.

    Everything lies in a new folder under ./data, which is removed when the demonstration stops cleanly:
    Ctrl-C, SIGTERM or the end of its time. Exit code 1 when something went wrong; the folder is kept then.
    """
    try:
        failure = run_demo(DemoSettings(seconds=seconds, keep=keep, port=port), out)
    except OSError as error:
        fail(f"cannot use the folder ./data: {error}")
    if failure is not None:
        fail(failure)

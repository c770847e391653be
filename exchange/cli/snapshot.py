"""``exchange snapshot``."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import partial
from typing import Annotated, Final

import typer

from exchange.app import build_core
from exchange.cli.console import DEFAULT_DATA, DataOption, count_records, fail, say
from exchange.journal.protocol import JournalError
from exchange.pipeline.recovery import JournalWithoutGame, SnapshotUnfit
from exchange.pipeline.snapshot import take_snapshot

NICENESS: Final = 10
"""Whoever waits for an order goes first."""


def snapshot(
    data: DataOption = DEFAULT_DATA,
    parent: Annotated[
        int | None, typer.Option(hidden=True, help="Give up when this process is no longer the parent.")
    ] = None,
) -> None:
    """Take a snapshot of a game now, so that its next start replays less. The server may be running.

    A server does this by itself: see `[snapshots]` in the settings.
    """
    with suppress(OSError):
        os.nice(NICENESS)
    try:
        taken = take_snapshot(data, build_core, partial(_progress, parent))
    except (JournalError, JournalWithoutGame, SnapshotUnfit) as error:
        fail(str(error))
    except OSError as error:
        fail(f"{data}: {error.strerror or error}")
    if taken is None:
        say("nothing new since the last snapshot")
        return
    based_on = f"the snapshot of {taken.based_on} and " if taken.based_on else ""
    say(
        f"sequence {taken.sequence}, {taken.payload_bytes:,} bytes, from {based_on}{taken.replayed} records,"
        f" state hash {taken.state_hash}"
    )


def _progress(parent: int | None, records: int) -> None:
    if parent is not None and os.getppid() != parent:
        # The server was killed: its successor must not find the journal in use.
        fail("the server is gone")
    count_records(records)

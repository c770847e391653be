"""The follower as this process: signals, its server's end, and the lines it tells it."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec
from sqlalchemy import URL

from exchange.app import build_core
from exchange.journal.files import files_in
from exchange.journal.protocol import JournalMissing
from exchange.projection.follower import Follower, FollowTerms, Report
from exchange.projection.projector import ReplayStopped
from exchange.storage.changes import Offset
from exchange.storage.database import database_url
from exchange.storage.progress import ProjectionReport
from exchange.storage.store import Store

__all__ = ["FollowTerms", "ReplayStopped", "run_follower", "tell_line"]

SUPERVISED_NICENESS: Final = 5
"""The order path goes first where there are not enough cores for both."""

_GC_THRESHOLDS: Final = (50_000, 20, 50)


def run_follower(
    data_dir: Path,
    url: str | None,
    terms: FollowTerms,
    *,
    supervised: bool,
    report: Report,
    open_store: Callable[[URL], Store] = Store,
) -> Offset:
    """Until the end of the journal, SIGTERM, SIGINT or, ``supervised``, until standard input ends.

    Raises StorageError, JournalError, JournalReplaced.
    """
    if not files_in(data_dir).journal.exists():
        raise JournalMissing(f"there is no game in {data_dir}")
    gc.set_threshold(*_GC_THRESHOLDS)
    # It says at every start that nothing is to be done.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    if supervised:
        os.nice(SUPERVISED_NICENESS)
    store = open_store(database_url(url, data_dir))
    return asyncio.run(_run(store, data_dir, terms, supervised, report))


def tell_line(report: ProjectionReport) -> None:
    """One line of JSON for the server."""
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    sys.stdout.flush()


async def _run(store: Store, data_dir: Path, terms: FollowTerms, supervised: bool, report: Report) -> Offset:
    try:
        follower = Follower(data_dir, store, build_core, terms, report)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, follower.stop)
        if supervised:
            loop.add_reader(sys.stdin.fileno(), _parent_gone, loop, follower)
        reached = await follower.run()
        if follower.halted is not None:
            raise follower.halted
        return reached
    finally:
        await store.close()


def _parent_gone(loop: asyncio.AbstractEventLoop, follower: Follower) -> None:
    # The server says nothing: whatever comes is the end of the pipe.
    loop.remove_reader(sys.stdin.fileno())
    follower.stop()

"""The follower as a child process that tells how far it is and can be killed at any moment.

Children are forked from a server that has everything imported, so that twenty lives take seconds.
"""

from __future__ import annotations

import multiprocessing
import random
from multiprocessing.connection import Connection
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from exchange.projection import run
from exchange.storage.changes import Changes, Offset
from exchange.storage.progress import ProjectionReport
from exchange.storage.store import Store

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["tests.support.projector_process"])
_PATIENCE_S = 60.0
_LONGEST_WAIT_S = 0.02


class LooseStore(Store):
    """The fault that the kill tests must find: the offset is written in a transaction of its own."""

    async def _move(self, connection: AsyncConnection, before: Offset, after: Offset) -> None:
        await super()._move(connection, before, after)
        await connection.commit()

    async def _write(self, connection: AsyncConnection, changes: Changes) -> None:
        await super()._write(connection, changes)
        await connection.commit()


def live(
    data_dir: Path, url: str, chance: random.Random | None, *, rebuild: bool = False, loose: bool = False
) -> bool:
    """One life, killed at a random moment if there is a ``chance``; whether it came to its end before.

    The moment is some reports into the work and a little more, wherever that may be.
    """
    here, there = _CONTEXT.Pipe(duplex=False)
    child = _CONTEXT.Process(target=_life, args=(data_dir, url, rebuild, loose, there), daemon=True)
    child.start()
    there.close()
    try:
        _listen(here, chance)
        if chance is None:
            child.join(_PATIENCE_S)
    finally:
        child.kill()
        child.join()
        here.close()
    assert chance is not None or child.exitcode == 0, child.exitcode
    return child.exitcode == 0


def _listen(told: Connection, chance: random.Random | None) -> None:
    reports = None if chance is None else chance.randint(0, 12)
    try:
        while reports is None or reports > 0:
            assert told.poll(_PATIENCE_S), "it tells nothing"
            told.recv()
            reports = None if reports is None else reports - 1
        if chance is not None:
            told.poll(chance.uniform(0, _LONGEST_WAIT_S))
    except EOFError:
        return


def _life(data_dir: Path, url: str, rebuild: bool, loose: bool, told: Connection) -> None:
    def tell(report: ProjectionReport) -> None:
        told.send(report.sequence)

    terms, kind = run.FollowTerms(rebuild=rebuild), LooseStore if loose else Store
    run.run_follower(data_dir, url, terms, supervised=False, report=tell, open_store=kind)

"""What the server's side of the projection bears."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from exchange.base.clock import SystemClock
from exchange.config import Config, ServerConfig
from exchange.log import get_logger
from exchange.metrics import Metrics
from exchange.pipeline.supervisor import restarted
from exchange.projection.keeper import ProjectionKeeper
from exchange.storage.progress import ProjectionState, ProjectionWatch
from tests.support.waiting import until


class Kept:
    """A keeper as the server runs it."""

    def __init__(self, data_dir: Path) -> None:
        self.watch = ProjectionWatch(lambda: 5, SystemClock())
        self.keeper = ProjectionKeeper(Config(server=ServerConfig(data=str(data_dir))), self.watch)
        self.metrics = Metrics()

    @property
    def restarts(self) -> float:
        """Times the task itself raised."""
        return float(self.metrics.task_restarts.labels("projection")._value.get())


@asynccontextmanager
async def kept(data_dir: Path) -> AsyncIterator[Kept]:
    """Running; it must end by itself when it is told to stop."""
    made = Kept(data_dir)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            run = made.keeper.run
            tasks.start_soon(restarted, "projection", run, get_logger("test"), made.metrics)
            yield made
            made.keeper.stop()


def _program(monkeypatch: pytest.MonkeyPatch, path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))


async def test_keeper_tells_why_its_process_ends(tmp_path: Path) -> None:
    """In its own words; the lag goes on being measured."""
    async with kept(tmp_path) as running:
        await until(lambda: running.watch.status().state is ProjectionState.DOWN)
        status = running.watch.status()
    assert status.detail == f"there is no game in {tmp_path}"
    assert status.lag_records == 5
    assert running.restarts == 0


async def test_keeper_bears_what_no_projection_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that are no report are skipped; the exit code is what is known."""
    _program(monkeypatch, tmp_path / "odd", 'echo hello; echo \'{"state":"following","sequence":3}\'; exit 7')
    async with kept(tmp_path) as running:
        await until(lambda: running.watch.status().state is ProjectionState.DOWN)
        status = running.watch.status()
    assert status.detail == "its process ended with exit code 7"
    assert status.sequence == 3
    assert running.restarts == 0


async def test_keeper_that_cannot_start_a_process_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task raises and is run anew: what runs beside it, the server, goes on."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nowhere"))
    async with kept(tmp_path) as running:
        await until(lambda: running.restarts >= 2)


async def test_keeper_ends_a_process_that_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that ignores the end of its input is killed after the drain's timeout."""
    monkeypatch.setattr("exchange.projection.keeper._STOP_MARGIN_S", -4.9)
    _program(monkeypatch, tmp_path / "deaf", 'echo \'{"state":"following","sequence":3}\'; exec sleep 600')
    async with kept(tmp_path) as running:
        await until(lambda: running.watch.status().sequence == 3)

"""Keeps the follower running beside a server, as a process of its own: no fault of it touches an order."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import anyio
import msgspec

from exchange.base.bounds import PROJECTION_DETAIL, PROJECTION_LAG_TOLD_S, PROJECTION_RESTART_S
from exchange.config import Config
from exchange.log import get_logger
from exchange.pipeline.supervisor import every
from exchange.storage.progress import ProjectionReport, ProjectionState, ProjectionWatch

MARK_S: Final = 0.5
"""Seconds between two marks: what the lag is exact to."""

_FIRST_RESTART_S: Final = 0.5
_STOP_MARGIN_S: Final = 2.0
_DECODER: Final = msgspec.json.Decoder(ProjectionReport)


class ProjectionKeeper:
    """Life: :meth:`run`, run anew where it raises, and :meth:`stop` when everything is durable."""

    def __init__(self, config: Config, watch: ProjectionWatch) -> None:
        self._config = config
        self._watch = watch
        self._log = get_logger("projection")
        self._stopping = anyio.Event()
        self._lag_told = False

    async def run(self) -> None:
        """Until :meth:`stop`; starts the process again when it ends, after a while that doubles."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(every, MARK_S, self._mark)
            delay_s = _FIRST_RESTART_S
            while not self._stopping.is_set():
                followed = await self._run_process()
                if self._stopping.is_set():
                    break
                delay_s = _FIRST_RESTART_S if followed else min(2 * delay_s, PROJECTION_RESTART_S)
                self._log.error("projection ended", restart_in_s=delay_s, detail=self._watch.status().detail)
                with anyio.move_on_after(delay_s):
                    await self._stopping.wait()
            tasks.cancel_scope.cancel()

    def stop(self) -> None:
        """Let it take what is durable; :meth:`run` returns when it has, or after the drain's timeout."""
        self._stopping.set()

    async def _run_process(self) -> bool:
        """One life of the process; whether it ever followed."""
        storage, followed = self._config.storage, False
        self._watch.begins_anew()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "exchange", "project", "--follow", "--supervised"),
            *("--data", self._config.server.data),
            stdin=PIPE,
            stdout=PIPE,
            env={**os.environ, **_environment(self._config)},
            # Ctrl-C in a terminal is for the server, which then tells its projection.
            start_new_session=True,
        )
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._end_when_stopping, process, storage.drain_timeout_s)
                followed = await self._listen(process)
                await process.wait()
                tasks.cancel_scope.cancel()
        finally:
            await _kill(process)
        self._watch.told(ProjectionReport(ProjectionState.DOWN, 0, self._detail(process)))
        return followed

    async def _listen(self, process: Process) -> bool:
        assert process.stdout is not None
        followed = False
        async for line in process.stdout:
            try:
                report = _DECODER.decode(line)
            except msgspec.MsgspecError:
                # Cut short by a kill, or not from us at all.
                self._log.warning("projection said something else", line=line[:PROJECTION_DETAIL])
                continue
            followed = followed or report.state is ProjectionState.FOLLOWING
            if self._watch.told(report):
                self._log.info("projection", **msgspec.to_builtins(report))
        return followed

    async def _end_when_stopping(self, process: Process, drain_s: float) -> None:
        await self._stopping.wait()
        assert process.stdin is not None
        process.stdin.close()
        await anyio.sleep(drain_s + _STOP_MARGIN_S)
        self._log.warning("projection did not end in time")
        with suppress(ProcessLookupError):
            process.kill()

    def _mark(self) -> None:
        self._watch.mark()
        lag_s = self._watch.status().lag_seconds
        if (lag_s > PROJECTION_LAG_TOLD_S) is not self._lag_told:
            self._lag_told = not self._lag_told
            status = msgspec.to_builtins(self._watch.status())
            if self._lag_told:
                self._log.warning("projection falls behind", **status)
            else:
                self._log.info("projection has caught up", **status)

    def _detail(self, process: Process) -> str:
        said = self._watch.status()
        if said.state is ProjectionState.DOWN and said.detail is not None:
            return said.detail
        return f"its process ended with exit code {process.returncode}"


def _environment(config: Config) -> Mapping[str, str]:
    """The settings that count there. A URL may hold a password: no other user sees an environment."""
    storage, server = config.storage, config.server
    settings = {
        "STORAGE__POLL_INTERVAL_S": str(storage.poll_interval_s),
        "STORAGE__DRAIN_TIMEOUT_S": str(storage.drain_timeout_s),
        "SERVER__LOG_LEVEL": server.log_level,
        "SERVER__LOG_FORMAT": server.log_format,
    }
    if storage.url is not None:
        settings["STORAGE__URL"] = json.dumps(storage.url)
    return {f"EXCHANGE_{name}": value for name, value in settings.items()}


async def _kill(process: Process) -> None:
    if process.returncode is None:
        with anyio.CancelScope(shield=True), suppress(ProcessLookupError):
            process.kill()
            await process.wait()

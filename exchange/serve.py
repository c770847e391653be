"""The server as this process: socket, signals, exit code."""

from __future__ import annotations

import asyncio
import gc
import os
import re
import signal
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
import uvloop

from exchange.api.past import SqlTables
from exchange.api.sql_history import SqlHistory
from exchange.api.transport.connections import ProtocolLimits
from exchange.api.transport.frame_writer import TurnFlusher
from exchange.api.transport.listener import Listener, bind
from exchange.api.transport.protocol import make_http_protocol
from exchange.api.transport.refusals import Envelopes
from exchange.api.transport.request_reader import ProtocolSettings
from exchange.api.transport.ws_protocol import make_ws_protocol
from exchange.app import Exchange
from exchange.base.clock import Clock, SystemClock
from exchange.base.entropy import Entropy, SystemEntropy
from exchange.config import Config
from exchange.journal.files import files_in
from exchange.journal.protocol import Journal, JournalMissing
from exchange.journal.repair import accept_loss
from exchange.journal.snapshots import snapshot_paths
from exchange.journal.sqlite import SqliteJournal
from exchange.log import get_logger
from exchange.metrics import Metrics
from exchange.model.commands import AcceptLoss
from exchange.pipeline.health import State
from exchange.pipeline.recovery import Progress, Recovered, StartError, note_operator_act
from exchange.pipeline.snapshot import describe
from exchange.pipeline.snapshot_keeper import SnapshotKeeper, snapshot_command
from exchange.pipeline.supervisor import restarted
from exchange.projection.keeper import ProjectionKeeper
from exchange.services.game.keys import new_key
from exchange.storage.progress import ProjectionWatch

ADMIN_KEY_FILE: Final = "admin.key"
_ADMIN_KEY: Final = re.compile(rb"[!-~]{16,}")
EXIT_CLEAN: Final = 0
EXIT_FAILED: Final = 1
GC_THRESHOLDS: Final = (50_000, 20, 50)
"""Messages live for a millisecond and hold no cycles: the default of 700 collects far too often."""

SWITCH_INTERVAL_S: Final = 1e-4
"""A loop that never idles must give the journal's writer its turn: at the default of 5 ms a commit can take
seconds (docs/decisions/0010-journal-files.md).
"""

_LOG: Final = get_logger("server")


@dataclass(frozen=True, slots=True)
class Acts:
    """What the operator decided for this start."""

    void: int | None = None
    accept_loss_after: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Ready:
    """What the ready line tells."""

    url: str
    preset: str
    instruments: int
    replayed: str
    data_dir: Path
    halted: str | None

    def line(self) -> str:
        """One line for people and programs; begins with ``exchange ready on URL``."""
        halted = f"; READ-ONLY, {self.halted}" if self.halted else ""
        return (
            f"exchange ready on {self.url} (preset {self.preset}, {self.instruments} instruments,"
            f" {self.replayed}, admin key in {self.data_dir / ADMIN_KEY_FILE}){halted}"
        )


def read_or_make_admin_key(data_dir: Path, entropy: Entropy) -> str:
    """The operator's key, made with mode 0600 on the first start. Raises StartError if it is none."""
    path = data_dir / ADMIN_KEY_FILE
    if not path.exists():
        _write_key(path, new_key(entropy))
    key = path.read_bytes().strip()
    if not _ADMIN_KEY.fullmatch(key):
        # An empty key would let in whoever sends an empty header.
        raise StartError(
            f"{path} does not hold a key: one line of at least 16 printable characters. Delete it, and a new"
            " one is made"
        )
    return key.decode()


def _write_key(path: Path, key: str) -> None:
    # Whole or not at all, also after a power cut.
    written = path.with_suffix(".new")
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key + "\n")
        file.flush()
        os.fsync(file.fileno())
    written.replace(path)


class _Tables:
    """The SQL tables of a server: the process that writes them, what is known of it, reading them."""

    def __init__(self, config: Config, journal: Journal, clock: Clock, metrics: Metrics) -> None:
        self.watch = ProjectionWatch(lambda: journal.last_sequence, clock)
        self.keeper = ProjectionKeeper(config, self.watch)
        data_dir = Path(config.server.data)
        self.past = SqlHistory(config.storage.url, data_dir, metrics.history_failures.inc)


def run_server(config: Config, acts: Acts, ready: Callable[[Ready], None], progress: Progress) -> int:
    """Serve until SIGINT or SIGTERM; the exit code.

    Raises JournalError, StartError or OSError when the game cannot be opened, StartError for a busy port.
    """
    return uvloop.run(_serve(config, acts, ready, progress))


async def _serve(config: Config, acts: Acts, ready: Callable[[Ready], None], progress: Progress) -> int:
    sock = _bind(config.server.host, config.server.port)
    clock, metrics = SystemClock(), Metrics()
    journal = await _open_journal(config, acts, clock, metrics)
    data_dir = Path(config.server.data)
    keeper = SnapshotKeeper(config.snapshots, snapshot_command(data_dir), _LOG)
    stopping = anyio.Event()
    tables = _Tables(config, journal, clock, metrics) if config.storage.enabled else None
    # A start that is refused leaves the mark of the crash before it for the start that is not.
    clean = journal.was_clean
    try:
        exchange = Exchange(
            config,
            journal,
            clock=clock,
            entropy=SystemEntropy(),
            admin_key=read_or_make_admin_key(data_dir, SystemEntropy()),
            metrics=metrics,
            snapshots=snapshot_paths(data_dir),
            keeper=keeper,
            on_state=lambda state: stopping.set() if state is State.FAILED else None,
            tables=None if tables is None else SqlTables(tables.watch, tables.past),
        )
        void = (acts.void, acts.reason) if acts.void is not None else None
        recovered = await exchange.start(void=void, progress=progress)
        _LOG.info(
            "game replayed",
            records=recovered.records,
            snapshot=recovered.snapshot,
            sequence=journal.last_sequence,
        )
        listener = _listener(config, exchange, sock, clock)
        _tune_interpreter()
        clean = False
        drained = await _run(
            exchange, listener, tables, stopping, lambda: ready(_ready(config, listener, recovered, exchange))
        )
        clean = drained and exchange.health.state is State.DRAINING
    finally:
        sock.close()
        await journal.close(clean=clean)
    if clean:
        await keeper.at_stop(journal.last_sequence)
    if not drained:
        _LOG.error("not everything was settled in time", drain_timeout_s=config.server.drain_timeout_s)
    _LOG.info("stopped", clean=clean)
    return EXIT_FAILED if exchange.health.state is State.FAILED or not drained else EXIT_CLEAN


async def _run(
    exchange: Exchange,
    listener: Listener,
    tables: _Tables | None,
    stopping: anyio.Event,
    announce: Callable[[], None],
) -> bool:
    """Three awaits: listening, until told to stop, drained. Whether it drained in time."""
    drained = False
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listener.run_until_closed)
        if tables is not None:
            # Not even a machine without room for one more process may end the server.
            tasks.start_soon(restarted, "projection", tables.keeper.run, _LOG, exchange.metrics)
        async with anyio.create_task_group() as path:
            path.start_soon(exchange.run)
            await listener.wait_listening()
            announce()
            await stopping.wait()
            await exchange.give_notice()
            _LOG.info("stopping: nothing new is taken, what was accepted is settled")
            path.cancel_scope.deadline = anyio.current_time() + exchange.config.server.drain_timeout_s
            exchange.stop()
        drained = not path.cancel_scope.cancelled_caught
        listener.close()
        if tables is not None:
            tables.keeper.stop()
            await tables.past.close()
    return drained


def _bind(host: str, port: int) -> socket.socket:
    try:
        return bind(host, port)
    except OSError as error:
        raise StartError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error


async def _open_journal(config: Config, acts: Acts, clock: Clock, metrics: Metrics) -> Journal:
    data_dir = Path(config.server.data)
    if acts.void is not None and not files_in(data_dir).journal.exists():
        raise JournalMissing(f"there is no game in {data_dir}")
    loss = None
    if acts.accept_loss_after is not None:
        loss = accept_loss(data_dir, acts.accept_loss_after, acts.reason, clock.now_us())
    journal = SqliteJournal.open(
        data_dir,
        clock,
        synchronous=config.journal.synchronous,
        observe_commit=metrics.commit_seconds.observe,
    )
    if loss is not None:
        act = AcceptLoss(journal.last_sequence, acts.reason, repr(loss))
        await note_operator_act(journal, act, clock)
    return journal


def _listener(config: Config, exchange: Exchange, sock: socket.socket, clock: Clock) -> Listener:
    server = config.server
    settings = ProtocolSettings(
        ProtocolLimits(
            max_body_bytes=server.max_body_bytes,
            head_timeout_s=server.header_timeout_s,
            body_timeout_s=server.body_timeout_s,
        ),
        exchange.connections,
        Envelopes(clock, exchange.request_ids.next),
        exchange.direct,
    )
    flusher = TurnFlusher()
    exchange.hub.flush = flusher.flush
    return Listener(
        exchange.api,
        sock,
        http=make_http_protocol(settings),
        ws=make_ws_protocol(settings, flusher),
        keep_alive_s=server.keep_alive_s,
        max_message_bytes=settings.limits.max_message_bytes,
        ping_interval_s=server.ws_ping_interval_s,
        ping_timeout_s=server.ws_ping_timeout_s,
    )


def _ready(config: Config, listener: Listener, recovered: Recovered, exchange: Exchange) -> Ready:
    host = f"[{config.server.host}]" if ":" in config.server.host else config.server.host
    rules = recovered.core.rules
    return Ready(
        url=f"http://{host}:{listener.port}",
        preset=rules.preset,
        instruments=len(rules.instruments),
        replayed=describe(recovered),
        data_dir=Path(config.server.data),
        halted=exchange.health.cause,
    )


def _tune_interpreter() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)
    sys.setswitchinterval(SWITCH_INTERVAL_S)

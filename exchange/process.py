"""A server as a child process, for whoever needs one: demo, flow, tests and benchmarks."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Final

import anyio.to_thread

READY: Final = re.compile(r"exchange ready on (http://\S+)")
STOP_TIMEOUT_S: Final = 20.0


class ServerDidNotStart(Exception):
    """The child ended before it was ready; the message holds what it said."""


class ServerProcess:
    """``exchange serve`` on loopback and a free port; a context manager that stops it with SIGTERM.

    With ``own_group`` a Ctrl-C in the terminal reaches only the parent, which stops the child when it wants.
    """

    def __init__(
        self,
        data_dir: Path,
        arguments: Sequence[str] = (),
        *,
        port: int = 0,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
        prefix: Sequence[str] = (),
        module: str = "exchange",
        own_group: bool = False,
    ) -> None:
        self.data_dir = data_dir
        self._command = [
            *prefix,
            *(sys.executable, "-m", module, "serve", "--host", "127.0.0.1"),
            *("--port", str(port), "--data", str(data_dir), *arguments),
        ]
        self._environment = {**os.environ, **(environment or {})}
        self._log = log or data_dir.with_name(data_dir.name + ".log")
        self._group = 0 if own_group else None
        self._process: subprocess.Popen[str] | None = None
        self.ready_line = ""
        self.url = ""

    def start(self) -> ServerProcess:
        """Returns when the server is ready; raises ServerDidNotStart."""
        self.spawn()
        self.wait_ready()
        return self

    def spawn(self) -> None:
        """Start the child, without waiting for it."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=self._environment,
                process_group=self._group,
            )

    def wait_ready(self) -> None:
        """Until the ready line; raises ServerDidNotStart."""
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            found = READY.match(line)
            if found:
                self.ready_line, self.url = line.strip(), found[1]
                return
        self.wait()
        said = self._log.read_text(errors="replace")[-4_000:]
        raise ServerDidNotStart(f"exit code {self._process.returncode}: {said}")

    @property
    def pid(self) -> int:
        """Of the child."""
        assert self._process is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs, and before it was started."""
        return None if self._process is None else self._process.poll()

    @property
    def admin_key(self) -> str:
        """The operator's key, as the server wrote it."""
        return (self.data_dir / "admin.key").read_text().strip()

    def kill(self) -> None:
        """SIGKILL: what a crash does."""
        self._signal(signal.SIGKILL)
        self.wait()

    def terminate(self) -> None:
        """SIGTERM: the server drains and stops."""
        self._signal(signal.SIGTERM)

    def stop(self) -> int:
        """SIGTERM and wait for the drain; the exit code."""
        self.terminate()
        return self.wait()

    def wait(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """The exit code; raises subprocess.TimeoutExpired."""
        assert self._process is not None
        code = self._process.wait(timeout_s)
        if self._process.stdout is not None:
            self._process.stdout.close()
        return code

    def log_text(self) -> str:
        """Everything the server logged so far."""
        return self._log.read_text(errors="replace")

    def __enter__(self) -> ServerProcess:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Stop it if it runs, by force if it does not want to."""
        if self._process is not None and self._process.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()
        elif self._process is not None:
            self.wait()

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)


@asynccontextmanager
async def running(server: ServerProcess) -> AsyncIterator[ServerProcess]:
    """``server`` started and in the end stopped, without holding up the loop; raises ServerDidNotStart.

    May be cancelled at any time: no child is left behind.
    """
    try:
        server.spawn()
        await anyio.to_thread.run_sync(server.wait_ready, abandon_on_cancel=True)
        yield server
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(server.end)

"""The servers that are measured, each a process of its own on the server's core."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench.load import SERVER_CORE, Target
from exchange.process import ServerProcess

TEAMS: Final = 10
INSTRUMENT: Final = "SPX"

ALONE: Final = {"EXCHANGE_STORAGE__ENABLED": "false", "EXCHANGE_SNAPSHOTS__EVERY_RECORDS": "0"}
"""Without the processes beside it, which would share the core that the server is pinned to."""

_RULES: Final = """
[server]
log_level = "warning"
max_connections_per_address = 10000

[responses]
max_pending_requests = 10000
max_pending_per_team = 10000

[limits]
team_orders_per_second = 1e6
team_orders_burst = 1000000
socket_messages_per_second = 1e6
socket_messages_burst = 1000000

[journal]
synchronous = "{synchronous}"

[game]
preset = "small"
self_trade_prevention = "none"

"""

_ROLE: Final = """
[[game.roles]]
name = "{name}"
fees = {{ maker = 200, taker = -100 }}
constraints = [
  {{ type = "trading_window", allowed_phases = ["continuous"] }},
  {{ type = "instrument_allowed", allowed_instruments = ["SPX", "SPY"] }},
  {{ type = "order_type_allowed", allowed_types = ["limit", "market"] }},
  {{ type = "order_size", max_size = 100 }},
  {{ type = "price_range", min_price = 1.0, max_price = 10000.0 }},
  {{ type = "position_limit", max_position = 1000000000 }},
  {{ type = "portfolio_limit", max_total_position = 1000000000 }},
  {two_sided}
  {{ type = "order_rate", max_orders_per_second = {rate} }},
]
"""
ONE_SIDED: Final = "one_sided"
"""The role with all nine constraints."""
TWO_SIDED: Final = "two_sided"
"""Without the one that keeps a team from trading with itself, for a team that has to do all by itself."""
_ROLES: Final = {
    ONE_SIDED: _ROLE.format(name=ONE_SIDED, two_sided='{ type = "no_two_sided" },', rate=10_000),
    TWO_SIDED: _ROLE.format(name=TWO_SIDED, two_sided="", rate=100_000),
}
"""None of them ever refuses here."""


def on_server_core() -> list[str]:
    """The command that keeps a server on its core, where the machine has one."""
    return ["taskset", "-c", str(SERVER_CORE)] if shutil.which("taskset") else []


@contextmanager
def running_exchange(
    synchronous: str = "full", environment: Mapping[str, str] = ALONE, role: str = ONE_SIDED
) -> Iterator[Target]:
    """A server on an empty game, with the keys of its teams: the first half only buys, the other sells.

    ``environment`` is added to this process's; by itself it leaves out what runs beside a server.
    """
    with tempfile.TemporaryDirectory(prefix="exchange-bench-") as folder:
        config = Path(folder) / "bench.toml"
        config.write_text(_RULES.format(synchronous=synchronous) + _ROLES[role])
        server = ServerProcess(
            Path(folder) / "data",
            ["--config", str(config)],
            prefix=on_server_core(),
            environment=environment,
            log=Path(folder) / "log",
        )
        with server:
            keys = [_register(server.url, f"Team {number}", role) for number in range(TEAMS)]
            yield Target(server.url, server.pid, tuple(keys))


@contextmanager
def running_echo(module: str = "bench.echo") -> Iterator[Target]:
    """The baseline server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    child = subprocess.Popen([*on_server_core(), sys.executable, "-m", module, str(port)])
    try:
        _wait_for(port)
        yield Target(f"http://127.0.0.1:{port}", child.pid, ("k" * 47,))
    finally:
        child.terminate()
        child.wait()


def order(number: int, connection: int) -> dict[str, Any]:
    """Order ``number`` of a connection: five lots at one price, so that half of all orders fill on entry."""
    return {
        "instrument_id": INSTRUMENT,
        "side": "buy" if connection % TEAMS < TEAMS // 2 else "sell",
        "quantity": 5,
        "price": 4400.0,
        "client_order_id": f"{connection}-{number}-{time.monotonic_ns() % 1_000_000_000}",
    }


def _register(url: str, name: str, role: str) -> str:
    body = json.dumps({"name": name, "role": role}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{url}/game/teams/register", body, headers)
    with urllib.request.urlopen(request) as answer:
        key: str = json.load(answer)["data"]["api_key"]
    return key


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise TimeoutError(f"nothing listens on {port}")

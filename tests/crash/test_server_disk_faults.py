"""A whole server whose disk refuses: it stops at once, and had said nothing that is not so."""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

import aiohttp
import msgspec
import pytest

from exchange.process import ServerDidNotStart, ServerProcess
from tests.support.faults import FILES, Fault, any_fault
from tests.support.scale import amount, figures, limit_s, seeded
from tests.support.traffic import Acknowledged, Trader, client_session, load_until, register

FAULTS = amount(20, 200)
TRADERS = 2
WORKERS = 8
FAULTS_PER_GAME = 4
LAST = 200
STOP_S = 1.0
NOISE_S = 2.0
"""What other work on the machine may add to STOP_S in one of the cases; not in most of them."""
AT = {
    ("journal.db-wal", "write"): (20, 400),
    ("journal.db-wal", "sync"): (10, 150),
    ("journal.db", "write"): (1, 60),
    ("journal.db", "sync"): (1, 1),
    ("head", "write"): (8, 25),
}
"""Which operation of a file fails. The opening makes fewer, save where it has a log to move."""


class _Case:
    """One server with one fault to come, on the folder that the one before it left."""

    def __init__(self, folder: Path, fault: Fault) -> None:
        self._struck = folder / "struck"
        environment = {
            "EXCHANGE_JOURNAL__RESTART_GRACE_S": "0",
            "EXCHANGE_TEST_FAULT": msgspec.json.encode(fault).decode(),
            "EXCHANGE_TEST_DATA": str(folder / "data"),
            "EXCHANGE_TEST_STRUCK": str(self._struck),
        }
        module = "tests.support.failing_disk_server"
        self.server = ServerProcess(
            folder / "data", ["--preset", "flow"], environment=environment, module=module
        )

    def starts(self) -> bool:
        """False when the fault was met at the start, and told."""
        try:
            self.server.start()
        except ServerDidNotStart as error:
            if "can't be written" not in str(error):
                raise
            return False
        return True

    async def stop_s(self, session: aiohttp.ClientSession, traders: list[Trader]) -> float:
        """Load until the server is gone; seconds from the refusal to the end of the process."""
        ended = asyncio.create_task(asyncio.to_thread(self._wait))
        await load_until(session, traders, 1_000_000, WORKERS, lambda: None)
        code, ended_ns = await ended
        assert code == 1
        assert "journal failed" in self.server.log_text()
        return (ended_ns - int(self._struck.read_text())) / 1e9

    def _wait(self) -> tuple[int, int]:
        return self.server.wait(60), time.monotonic_ns()


def _fault(stream: random.Random, number: int) -> Fault:
    fault = any_fault(stream, FILES[number % len(FILES)], 1)
    return msgspec.structs.replace(fault, at=stream.randint(*AT[fault.file, fault.step]))


async def _join(session: aiohttp.ClientSession, server: ServerProcess, traders: list[Trader]) -> None:
    if not traders:
        teams = [register(session, server.url, f"T{number}", number) for number in range(TRADERS)]
        traders += await asyncio.gather(*teams)
    for trader in traders:
        trader.url = server.url


async def _is_kept(session: aiohttp.ClientSession, trader: Trader, order: Acknowledged) -> bool:
    again = await trader.resend(session, order)
    return again["order_id"] == order.order_id and again["data"]["duplicate"] is True


async def _all_kept(session: aiohttp.ClientSession, trader: Trader) -> bool:
    """What it was answered last before the disk refused is so."""
    last = list(trader.acknowledged.values())[-LAST:]
    return all(await asyncio.gather(*(_is_kept(session, trader, order) for order in last)))


async def _stop_s(session: aiohttp.ClientSession, case: _Case, traders: list[Trader]) -> float | None:
    """None for a start that was refused; else what was told before is so, and how long the stop took."""
    try:
        if not case.starts():
            return None
        await _join(session, case.server, traders)
        for trader in traders:
            assert await _all_kept(session, trader)
        return await case.stop_s(session, traders)
    finally:
        case.server.end()


@pytest.mark.timeout(limit_s(300))
async def test_disk_fault_stops_the_server_without_a_false_acknowledgement(tmp_path: Path) -> None:
    """EIO, ENOSPC and short writes of journal, log and head under load: within a second, with exit code 1."""
    games: dict[Path, list[Trader]] = {}
    took: list[float] = []
    async with client_session() as session:
        for number in range(FAULTS):
            folder = tmp_path / f"{number // FAULTS_PER_GAME}"
            folder.mkdir(exist_ok=True)
            with seeded("server fault", number) as stream:
                case = _Case(folder, _fault(stream, number))
                stop_s = await _stop_s(session, case, games.setdefault(folder, []))
                took += [] if stop_s is None else [stop_s]
    median_s = sorted(took)[len(took) // 2]
    figures("disk faults", cases=FAULTS, stops=len(took), median_s=median_s, longest_s=max(took))
    assert median_s < STOP_S
    assert max(took) < STOP_S + NOISE_S
    assert len(took) > FAULTS / 2

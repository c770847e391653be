"""Power cuts of a whole server under load: an order whose answer a client has is in what the disk holds."""

from __future__ import annotations

import pickle
import random
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from exchange.app import replay_journal
from exchange.journal.check import check
from exchange.process import ServerProcess
from exchange.wire.ids import order_number
from tests.support.power import LOSSES, Loss, Record, cut
from tests.support.scale import amount, chance, figures, limit_s, seeded
from tests.support.traffic import client_session, load_until, register

CUTS = amount(100, 2_000)
ANSWERS = 1_000
TRADERS = 3


class Life(NamedTuple):
    """Of a server, from its first start to a clean stop; ``told`` is when the answer to each order came."""

    record: Record
    told: dict[int, int]

    def answered(self, operations: int) -> set[int]:
        """Orders whose answers had come before the next operation."""
        return {order for order, at_ns in self.told.items() if at_ns < self.record.times_ns[operations]}


async def _live(folder: Path, synchronous: str = "full") -> Life:
    (folder / "data").mkdir()
    environment = {
        "EXCHANGE_TEST_DATA": str(folder / "data"),
        "EXCHANGE_TEST_RECORD": str(folder / "record"),
        "EXCHANGE_JOURNAL__SYNCHRONOUS": synchronous,
    }
    module = "tests.support.recording_server"
    with ServerProcess(
        folder / "data", ["--preset", "flow"], environment=environment, module=module
    ) as server:
        async with client_session() as session:
            traders = [await register(session, server.url, f"T{number}", number) for number in range(TRADERS)]
            await load_until(session, traders, ANSWERS, 8, server.terminate)
            assert server.wait() == 0
    orders = [order for trader in traders for order in trader.acknowledged.values()]
    told = {order_number(order.order_id) or 0: order.at_ns for order in orders}
    return Life(pickle.loads((folder / "record").read_bytes()), told)


def _lost(life: Life, at: int, loss: Loss, stream: random.Random, image: Path) -> set[int]:
    """Answered orders that are not in the game the disk holds."""
    shutil.rmtree(image, ignore_errors=True)
    cut(life.record, at, loss, stream, image)
    answered = life.answered(at)
    if not answered:
        return set()
    if check(image).problems:
        return answered
    replayed = replay_journal(image)
    assert replayed.failure is None
    return {order for order in answered if replayed.core.register.get(order) is None}


@pytest.mark.timeout(limit_s(120))
async def test_power_cut_of_a_server_loses_no_order_that_was_answered(tmp_path: Path) -> None:
    """Answered before the cut means there after it; and the game replays."""
    life = await _live(tmp_path)
    at_risk = 0
    for number in range(CUTS):
        with seeded("server power cut", number) as stream:
            at = stream.randrange(len(life.record.operations))
            assert _lost(life, at, stream.choice(LOSSES), stream, tmp_path / "cut") == set()
            at_risk += bool(life.answered(at))
    figures("server power cuts", cuts=CUTS, with_orders=at_risk, orders=len(life.told))
    assert at_risk > CUTS // 2


@pytest.mark.timeout(limit_s(120))
async def test_power_cut_of_a_server_with_synchronous_normal_loses_orders(tmp_path: Path) -> None:
    """The control: where commits are not flushed, the same question finds orders that are gone."""
    life = await _live(tmp_path, "normal")
    stream = chance("server power cut", "normal")
    cuts = [stream.randrange(len(life.record.operations)) for _ in range(20)]
    assert sum(bool(_lost(life, at, "all", stream, tmp_path / "cut")) for at in cuts) > 5

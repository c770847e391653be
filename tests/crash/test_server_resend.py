"""Orders sent again across crashes: always the first answer, never a second order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from exchange.journal.records import decode_batches
from exchange.journal.stopped import StoppedJournal
from exchange.model.commands import NewOrder
from exchange.process import ServerProcess
from exchange.wire.ids import order_number
from tests.support.scale import amount, figures, limit_s, seeded
from tests.support.traffic import Acknowledged, Trader, client_session, load_until, register

ROUNDS = amount(10, 100)
RESENDS = amount(10_000, 1_000_000)
SENDERS = 16
TRADERS = 3
NEWEST = 200
AT_ONCE = {"EXCHANGE_JOURNAL__RESTART_GRACE_S": "0"}


class _Resender:
    """Teams that send orders again, and what they were answered the first time."""

    def __init__(self, folder: Path, session: aiohttp.ClientSession, module: str = "exchange") -> None:
        self.traders: list[Trader] = []
        self.resent = 0
        self.unanswered = 0
        self._folder = folder
        self._session = session
        self._module = module

    def server(self) -> ServerProcess:
        return ServerProcess(self._folder, ["--preset", "flow"], environment=AT_ONCE, module=self._module)

    async def join(self, server: ServerProcess) -> None:
        """The traders are with this server from now on."""
        if not self.traders:
            teams = [register(self._session, server.url, f"T{number}", number) for number in range(TRADERS)]
            self.traders = await asyncio.gather(*teams)
        for trader in self.traders:
            trader.url = server.url

    async def load_and_kill(self, server: ServerProcess, answers: int) -> None:
        """New orders until the server is killed."""
        await load_until(self._session, self.traders, answers, 8, server.kill)
        self.unanswered += sum(len(trader.sent) - len(trader.acknowledged) for trader in self.traders)

    async def resend_newest_and_kill(self, server: ServerProcess, answers: int) -> None:
        """The server is killed with resends under way, so that their answers are lost once more."""
        end = self.resent + answers
        senders = [
            self._send(self.newest(), lambda: server.kill() if self.resent == end else None)
            for _ in range(SENDERS)
        ]
        lost = await asyncio.gather(*senders, return_exceptions=True)
        assert all(isinstance(each, aiohttp.ClientError | OSError) for each in lost)

    async def resend(self, chosen: list[tuple[Trader, str]]) -> None:
        """By many senders at once: one order is under way several times."""
        left = iter(chosen)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(SENDERS):
                tasks.create_task(self._send(left))

    def newest(self) -> list[tuple[Trader, str]]:
        """Orders that any answer may be missing to."""
        return [(trader, each) for trader in self.traders for each in list(trader.sent)[-NEWEST:]]

    def any(self, stream: random.Random, count: int) -> list[tuple[Trader, str]]:
        """Orders of the whole game."""
        known = [(trader, each) for trader in self.traders for each in trader.sent]
        return stream.choices(known, k=count)

    async def another_body_is_refused(self) -> None:
        """Under an id that is used up."""
        order = next(iter(self.traders[0].acknowledged.values()))
        changed: dict[str, Any] = {**order.body, "quantity": order.body["quantity"] + 1}
        refused = await self.traders[0].resend(self._session, Acknowledged(changed, "", ""))
        assert refused["error"]["code"] == "CLIENT_ORDER_ID_REUSED"

    async def resend_one(self, trader: Trader, client_order_id: str) -> None:
        """An order whose answer was lost may be new to the server; once answered it is a duplicate."""
        body = trader.sent[client_order_id]
        is_answered = client_order_id in trader.acknowledged
        again = await trader.resend(self._session, Acknowledged(body, "", ""))
        assert again["success"], again
        answer = Acknowledged(body, again["order_id"], again["timestamp"])
        assert trader.acknowledged.setdefault(client_order_id, answer) == answer
        assert not is_answered or again["data"]["duplicate"]

    async def _send(
        self, chosen: Iterable[tuple[Trader, str]], told: Callable[[], None] = lambda: None
    ) -> None:
        for trader, client_order_id in chosen:
            await self.resend_one(trader, client_order_id)
            self.resent += 1
            told()


def _orders_in(folder: Path) -> list[tuple[int, str | None, int]]:
    """Team, client_order_id and number of every order in the journal of a stopped server."""
    return [
        (record.command.account, record.command.client_order_id, record.sequence)
        for record in decode_batches(StoppedJournal(folder).read())
        if isinstance(record.command, NewOrder)
    ]


@pytest.mark.timeout(limit_s(300))
async def test_resends_after_crashes_get_the_first_answer(tmp_path: Path) -> None:
    """By client_order_id, many at once, also of orders whose answer the crash swallowed."""
    async with client_session() as session:
        game = _Resender(tmp_path / "data", session)
        for number in range(ROUNDS):
            with seeded("resend", number) as stream:
                with game.server() as server:
                    await game.join(server)
                    await game.load_and_kill(server, stream.randint(50, 300))
                with game.server() as server:
                    await game.join(server)
                    await game.resend_newest_and_kill(server, stream.randint(1, 100))
                with game.server() as server:
                    await game.join(server)
                    newest = game.newest()
                    await game.resend(newest + game.any(stream, max(0, RESENDS // ROUNDS - len(newest))))
                    await game.another_body_is_refused()
                    server.kill()
    found = _orders_in(tmp_path / "data")
    assert len(found) == len({(team, client_order_id) for team, client_order_id, _ in found})
    told = {order_number(order.order_id) for trader in game.traders for order in trader.acknowledged.values()}
    assert told == {number for _, _, number in found}
    figures("resends", resent=game.resent, crashes=2 * ROUNDS, unanswered=game.unanswered)
    assert game.resent >= RESENDS
    assert game.unanswered > ROUNDS


@pytest.mark.timeout(limit_s(120))
async def test_resends_to_a_forgetful_server_are_second_orders(tmp_path: Path) -> None:
    """The control: where answers are given before the disk has them, a resend gets another answer."""
    async with client_session() as session:
        for number in range(10):
            game = _Resender(tmp_path / f"{number}", session, "tests.support.forgetful_server")
            with game.server() as server:
                await game.join(server)
                await asyncio.sleep(0.2)  # its registrations too are written late
                await game.load_and_kill(server, 100)
            with game.server() as server:
                await game.join(server)
                try:
                    for trader, client_order_id in game.newest():
                        await game.resend_one(trader, client_order_id)
                except AssertionError:
                    return
    raise AssertionError("the check is blind: every answer was the first one")

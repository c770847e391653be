"""Hostile and clumsy sockets: nonsense, storms, crowds, clients that freeze."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.raid import Raid, Team, raid

BUY: dict[str, Any] = {"instrument_id": "FLOW", "side": "buy", "quantity": 1, "price": 160.0}
DEEP = 10_000

Message = dict[str, Any]


class Line:
    """One socket: raw messages out, answers by id in, events kept."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.events: list[Message] = []
        self.answers: list[Message] = []

    async def receive(self) -> Message:
        message: Message = json.loads(await self.socket.receive_str(timeout=20))
        (self.events if "type" in message else self.answers).append(message)
        return message

    async def ask(self, text: str) -> Message:
        """Send ``text``; the next answer."""
        await self.socket.send_str(text)
        return await self.answer()

    async def answer(self) -> Message:
        before = len(self.answers)
        while len(self.answers) == before:
            await self.receive()
        return self.answers[-1]

    async def call(self, method: str, **params: Any) -> Message:
        return await self.ask(json.dumps({"id": 1, "method": method, "params": params}))


async def _line(attack: Raid, team: Team | None = None) -> Line:
    headers = {} if team is None else {"X-API-Key": team.key}
    line = Line(await attack.session.ws_connect(f"{attack.server.url}/ws", headers=headers, max_msg_size=0))
    await line.receive()
    return line


def _request(**parts: Any) -> str:
    return json.dumps({"id": 7, "method": "order.new", "params": BUY} | parts)


NONSENSE = [
    ("", "BAD_JSON", None),
    ("x", "BAD_JSON", None),
    ("null", "INVALID_REQUEST", None),
    ("[]", "INVALID_REQUEST", None),
    ("{}", "INVALID_REQUEST", None),
    ("[" * DEEP, "INVALID_REQUEST", None),
    ('{"a":' * DEEP, "INVALID_REQUEST", None),
    ('{"id":7,"method":"ping","params":' + "[" * DEEP + "]" * DEEP + "}", "BODY_TOO_DEEP", None),
    (_request(id=None), "INVALID_REQUEST", None),
    (_request(id=True), "INVALID_REQUEST", None),
    (_request(id=1.5), "INVALID_REQUEST", None),
    (_request(id=2**53 + 1), "INVALID_REQUEST", None),
    (_request(id=""), "INVALID_REQUEST", None),
    (_request(id="é"), "INVALID_REQUEST", None),
    (_request(id="x" * 65), "INVALID_REQUEST", None),
    (_request(id={}), "INVALID_REQUEST", None),
    (_request(method="nope"), "UNKNOWN_METHOD", 7),
    (_request(method=""), "UNKNOWN_METHOD", 7),
    (_request(method="\x00"), "UNKNOWN_METHOD", 7),
    (_request(method=5), "INVALID_REQUEST", 7),
    (_request(extra=1), "INVALID_REQUEST", 7),
    (_request(params=[]), "INVALID_REQUEST", 7),
    (_request(params="x"), "INVALID_REQUEST", 7),
    (_request(params=BUY | {"quantity": 0}), "INVALID_REQUEST", 7),
    (_request(params=BUY | {"quantity": True}), "INVALID_REQUEST", 7),
    (_request(params=BUY | {"quantity": 1.0}), "INVALID_REQUEST", 7),
    (_request(params=BUY | {"price": -0.0}), "INVALID_REQUEST", 7),
    (_request(params=BUY | {"price": 1e308}), "INVALID_REQUEST", 7),
    (_request(params=BUY | {"price": 160.001}), "PRICE_NOT_ON_TICK", 7),
    (_request(params=BUY | {"price": float("nan")}), "BAD_JSON", None),
    (_request(params=BUY | {"instrument_id": "x" * 60_000}), "INVALID_REQUEST", 7),
    (_request(params=BUY | {"client_order_id": "\ud800"}), "BAD_JSON", None),
    (_request(method="order.cancel", params={"order_id": "ORD_" + "9" * 60}), "CANCEL_FAILED", 7),
    (_request(method="order.cancel", params={"order_id": "x" * 65}), "INVALID_REQUEST", 7),
    (
        _request(method="order.cancel", params={"order_id": "ORD_1", "client_order_id": "a"}),
        "INVALID_REQUEST",
        7,
    ),
    (_request(method="order.amend", params={"order_id": "ORD_1"}), "AMEND_FAILED", 7),
    (_request(method="book.get", params={"instrument_id": "FLOW", "depth": 0}), "INVALID_REQUEST", 7),
    (_request(method="login", params={"api_key": "x"}), "INVALID_REQUEST", 7),
    (_request(method="subscribe", params={"channels": []}), "INVALID_REQUEST", 7),
    (_request(method="subscribe", params={"channels": ["private", "private"]}), "INVALID_REQUEST", 7),
    (_request(method="subscribe", params={"channels": ["book.*"]}), "UNKNOWN_CHANNEL", 7),
    (_request(method="subscribe", params={"channels": ["x" * 101]}), "INVALID_REQUEST", 7),
    (_request(method="subscribe", params={"channels": ["c"] * 1001}), "INVALID_REQUEST", 7),
    (_request(method="unsubscribe", params={"channels": ["private"]}), "NOT_SUBSCRIBED", 7),
    *(
        (
            _request(method="subscribe", params={"channels": ["private"], "resume_from": {"private": place}}),
            "INVALID_REQUEST",
            7,
        )
        for place in (-1, 1, 2**53, 2**53 + 1, 10**30, 0.5, "0", None, True)
    ),
    (
        _request(method="subscribe", params={"channels": ["private"], "resume_from": {"book.FLOW": 0}}),
        "INVALID_REQUEST",
        7,
    ),
]


async def test_nonsense_is_refused_under_its_id_and_changes_nothing(tmp_path: Path) -> None:
    """Every malformed message is answered with its code; the socket lives on and the state is untouched."""
    async with raid(tmp_path) as attack:
        team = await attack.team("Alpha")
        line = await _line(attack, team)
        before = await attack.audit()
        for text, code, request_id in NONSENSE:
            answer = await line.ask(text)
            assert (answer["error"]["code"], answer["id"]) == (code, request_id), text[:80]
        assert "result" in await line.call("ping")
        assert await attack.audit() == before
        assert line.events[1:] == []


async def test_public_channel_resumes_only_within_its_epoch(tmp_path: Path) -> None:
    """A sequence without epoch, of another one or from the future never lets a client skip something."""
    async with raid(tmp_path) as attack:
        line = await _line(attack)
        epoch = line.events[0]["epoch"]
        for given, place in ((None, 0), ("x" * 12, 0), (None, 5)):
            params: Message = {"channels": ["book.FLOW"], "resume_from": {"book.FLOW": place}}
            answer = await line.call("subscribe", **params, **({"epoch": given} if given else {}))
            (channel,) = answer["result"]["channels"]
            assert channel["error"]["code"] == "RESUME_TOO_OLD"
            assert (await line.receive())["type"] == "book_snapshot"
            await line.call("unsubscribe", channels=["book.FLOW"])
        answer = await line.call(
            "subscribe", channels=["book.FLOW"], resume_from={"book.FLOW": 99}, epoch=epoch
        )
        assert answer["error"]["code"] == "INVALID_REQUEST"


async def test_subscribe_storm_leaves_one_subscription_and_one_copy(tmp_path: Path) -> None:
    """500 times in and out of every channel: afterwards each event still comes once, in sequence."""
    async with raid(tmp_path) as attack:
        team = await attack.team("Alpha")
        line = await _line(attack, team)
        channels = ["private", "book.FLOW", "trades.FLOW", "phase"]
        for _ in range(500):
            for method in ("subscribe", "unsubscribe"):
                await line.socket.send_str(
                    json.dumps({"id": 1, "method": method, "params": {"channels": channels}})
                )
        while len(line.answers) < 1_000:
            await line.receive()
        assert [answer for answer in line.answers if "error" in answer] == []
        await line.call("subscribe", channels=channels)
        line.events.clear()
        for _ in range(20):
            assert (await attack.order(team, **BUY))[0] == 200
        while len([event for event in line.events if event["type"] == "new_order_ack"]) < 20:
            await line.receive()
        acks = [event["seq"] for event in line.events if event["type"] == "new_order_ack"]
        assert acks == list(range(acks[0], acks[0] + 20))


async def test_more_than_64_in_flight_are_refused_one_by_one(tmp_path: Path) -> None:
    """A burst of 1,000 orders: each is answered, with a result or 429, and what was accepted stands."""
    async with raid(tmp_path) as attack:
        team = await attack.team("Alpha")
        line = await _line(attack, team)
        for number in range(1_000):
            await line.socket.send_str(json.dumps({"id": number, "method": "order.new", "params": BUY}))
        while len(line.answers) < 1_000:
            await line.receive()
        assert {answer["id"] for answer in line.answers} == set(range(1_000))
        refused = {answer["error"]["code"] for answer in line.answers if "error" in answer}
        assert refused <= {"TOO_MANY_IN_FLIGHT"}
        taken = {answer["result"]["order_id"] for answer in line.answers if "result" in answer}
        attack.acknowledged[team.team_id] |= taken
        assert len(taken) >= 64


@pytest.mark.timeout(120)
async def test_crowd_of_1000_sockets_is_told_everything_and_one_more_is_turned_away(tmp_path: Path) -> None:
    """As many sockets as one address may have: all get each trade once; the next connection gets 503."""
    environment = {"EXCHANGE_SERVER__MAX_CONNECTIONS_PER_ADDRESS": "1010"}
    async with raid(tmp_path, "--preset", "flow", environment=environment) as attack:
        team = await attack.team("Alpha")
        crowd = []
        for _ in range(20):
            crowd += await asyncio.gather(*(_line(attack) for _ in range(50)))
        subscribe = json.dumps({"id": 1, "method": "subscribe", "params": {"channels": ["trades.FLOW"]}})
        assert all("result" in answer for answer in await asyncio.gather(*(c.ask(subscribe) for c in crowd)))
        for _ in range(5):
            await attack.order(team, **BUY)
            await attack.order(team, **BUY | {"side": "sell"})
        trades = await asyncio.gather(*(_trades(line, 5) for line in crowd))
        assert all(told == trades[0] for told in trades)
        assert [event["seq"] for event in trades[0]] == [1, 2, 3, 4, 5]
        with pytest.raises(aiohttp.WSServerHandshakeError, match="503"):
            await asyncio.gather(*(_line(attack) for _ in range(20)))
        await asyncio.gather(*(line.socket.close() for line in crowd))


async def _trades(line: Line, count: int) -> list[Message]:
    while len([event for event in line.events if event["type"] == "trade"]) < count:
        await line.receive()
    return [event for event in line.events if event["type"] == "trade"]


# --- a client that freezes ---------------------------------------------------------------------------------

_FROZEN = """
import asyncio, json, sys
import aiohttp

async def main(url, key):
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url + "/ws", headers={"X-API-Key": key}, max_msg_size=0) as socket:
            subscribe = {"channels": ["private"], "resume_from": {"private": 0}}
            await socket.send_str(json.dumps({"id": 1, "method": "subscribe", "params": subscribe}))
            seen = []
            async for message in socket:
                event = json.loads(message.data)
                if event.get("id") == 1:
                    print("ready", flush=True)
                elif event.get("type") == "new_order_ack":
                    seen.append(event["seq"])
                    if event["request_id"] == "last":
                        print(json.dumps(seen), flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_client_that_is_stopped_and_continued_misses_nothing(tmp_path: Path) -> None:
    """SIGSTOP for a while, within its buffer: others trade on, and after SIGCONT it reads all of it."""
    async with raid(tmp_path) as attack:
        team = await attack.team("Alpha")
        frozen = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", _FROZEN, attack.server.url, team.key), stdout=asyncio.subprocess.PIPE
        )
        assert frozen.stdout is not None
        assert await frozen.stdout.readline() == b"ready\n"
        os.kill(frozen.pid, signal.SIGSTOP)
        for _ in range(300):
            assert (await attack.order(team, **BUY))[0] == 200
        os.kill(frozen.pid, signal.SIGCONT)
        await attack.order(team, "settlement", {"X-Request-ID": "last"}, **BUY)
        seen = json.loads(await frozen.stdout.readline())
        frozen.terminate()
        await frozen.wait()
        assert seen == list(range(1, 302))

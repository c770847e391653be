"""More than the exchange can take, and stages that are stuck: refused at once, told truly, nothing lost."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from functools import partial
from typing import Any

import httpx
import pytest

import exchange.pipeline.path as path_module
from exchange.config import CoordinationConfig, GameConfig
from exchange.journal.memory import MemoryFaults, MemoryJournal
from exchange.pipeline.channel import OrderQueue
from tests.support.floor import blocked
from tests.support.http_exchange import ADMIN_KEY, HttpExchange, http_exchange
from tests.support.waiting import until
from tests.support.ws_exchange import WsExchange, ws_exchange

FLOW = GameConfig(preset="flow")
BUY: dict[str, Any] = {"instrument_id": "FLOW", "price": 160.0}
SOON = CoordinationConfig(default_timeout_seconds=0.4)
PATIENT = CoordinationConfig(default_timeout_seconds=60.0, max_pending_requests=5_000)
WAITS = ("validation", "matching", "settlement")

Error = dict[str, Any]


def _error(answer: httpx.Response, status: int) -> Error:
    assert answer.status_code == status, answer.text
    assert "server-timing" in answer.headers
    return dict(answer.json()["error"])


def _check_overloaded(answer: httpx.Response) -> None:
    assert _error(answer, 503)["code"] == "OVERLOADED"
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["error"]["retry_after_ms"] > 0


def _ids(answers: list[httpx.Response]) -> set[str]:
    return {answer.json()["order_id"] for answer in answers if answer.status_code == 200}


async def _listed(exchange: HttpExchange, key: str) -> set[str]:
    listed = await exchange.send("GET", "/exchange/orders?status=all&limit=1000", key=key)
    return {order["order_id"] for order in listed.json()["data"]["orders"]}


# --- too much -------------------------------------------------------------------------------------------


async def test_full_order_queue_is_refused_at_once_and_recovers(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the disk stands still the queue fills: 503 with Retry-After, and what was taken is entered."""
    monkeypatch.setattr(path_module, "OrderQueue", partial(OrderQueue, 10))
    async with http_exchange(game=FLOW, responses=PATIENT) as exchange:
        key = await exchange.team(role="player")
        path = exchange.exchange.path
        with exchange.journal.held() as reached:
            first = asyncio.create_task(exchange.order(key, **BUY))
            await reached.wait()
            waiting = [asyncio.create_task(exchange.order(key, **BUY)) for _ in range(10)]
            await until(lambda: path.depths()["order_queue"] == 10)
            for _ in range(3):
                _check_overloaded(await exchange.order(key, **BUY))
            assert path.responses.statistics().pending == 11
        answers = await asyncio.gather(first, *waiting)
        assert len(_ids(answers)) == 11
        assert await _listed(exchange, key) == _ids(answers)
        assert (await exchange.order(key, **BUY)).status_code == 200


async def test_too_many_pending_requests_are_refused_at_once_and_recover() -> None:
    """The bound on waiting answers is the same for every kind of command, and free again afterwards."""
    responses = CoordinationConfig(max_pending_requests=20, default_timeout_seconds=60.0)
    async with http_exchange(game=FLOW, responses=responses) as exchange:
        key = await exchange.team(role="player")
        statistics = exchange.exchange.path.responses.statistics
        with exchange.journal.held():
            waiting = [asyncio.create_task(exchange.order(key, **BUY)) for _ in range(20)]
            await until(lambda: statistics().pending == 20)
            _check_overloaded(await exchange.order(key, **BUY))
            _check_overloaded(await exchange.send("DELETE", "/exchange/orders", key=key))
            team = {"name": "Late", "role": "player"}
            _check_overloaded(await exchange.send("POST", "/game/teams/register", json=team))
            assert (await exchange.send("GET", "/exchange/orderbook/FLOW")).status_code == 200
        assert len(_ids(await asyncio.gather(*waiting))) == 20
        assert (statistics().pending, statistics().overloaded) == (0, 3)
        assert (await exchange.order(key, **BUY)).status_code == 200


async def _send_all(exchange: WsExchange, key: str, orders: int) -> Counter[str]:
    """Until each of ``orders`` is taken, over connections of its own; how often each answer came."""
    answers: Counter[str] = Counter()

    async def insist(client: httpx.AsyncClient, number: int) -> None:
        body = {**BUY, "side": "buy", "quantity": 1, "client_order_id": f"c{number}"}
        while True:
            answer = await client.post("/exchange/orders", json=body, headers={"X-API-Key": key})
            code = "ok" if answer.status_code == 200 else _error(answer, 503)["code"]
            answers[code] += 1
            if code == "ok":
                return

    limits = httpx.Limits(max_connections=64)
    url = f"http://127.0.0.1:{exchange.port}"
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=60) as client:
        await asyncio.gather(*(insist(client, number) for number in range(orders)))
    return answers


async def test_overload_over_sockets_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """64 connections against a queue of 8 and a slow disk: some 503, and in the end each order once."""
    monkeypatch.setattr(path_module, "OrderQueue", partial(OrderQueue, 8))
    journal = MemoryJournal(random.Random(1), MemoryFaults(latency_s=0.005))
    async with ws_exchange("flow", journal) as exchange:
        key = await exchange.team("Alpha", "player")
        answers = await _send_all(exchange, key, 150)
        assert answers["ok"] == 150
        assert answers["OVERLOADED"] > 0
        listed = await exchange.send("GET", "/exchange/orders?limit=1000", key)
        names = [order["client_order_id"] for order in listed.json()["data"]["orders"]]
        assert sorted(names) == sorted(f"c{number}" for number in range(150))
        assert exchange.exchange.core.venue.statistics().live_orders == 150


# --- stuck ----------------------------------------------------------------------------------------------


async def _request_now(exchange: HttpExchange, key: str, request_id: str) -> dict[str, Any]:
    answer = await exchange.send("GET", f"/exchange/requests/{request_id}", key=key)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["data"])


def _named(request_id: str, wait: str) -> dict[str, Any]:
    return {"headers": {"X-Request-ID": request_id}, "params": {"wait": wait}}


async def _enter(exchange: HttpExchange, key: str, request_id: str, wait: str) -> httpx.Response:
    body = {**BUY, "side": "buy", "quantity": 1, "client_order_id": request_id}
    return await exchange.send("POST", "/exchange/orders", key=key, json=body, **_named(request_id, wait))


async def _check_timed_out(
    exchange: HttpExchange, key: str, sent: asyncio.Task[httpx.Response], expected: Error
) -> None:
    """504 with ``expected`` as details, named by order id exactly where it is accepted; kept as a timeout."""
    answer = await sent
    error = _error(answer, 504)
    assert (error["code"], error["details"]) == ("RESPONSE_TIMEOUT", expected)
    assert ("order_id" in answer.json()) == expected.get("accepted", False)
    request = await _request_now(exchange, key, answer.json()["request_id"])
    assert (request["status"], request["http_status"]) == ("timeout", 504)
    assert exchange.exchange.path.responses.statistics().pending == 0


@pytest.mark.parametrize("wait", WAITS)
async def test_stuck_in_the_queue_is_not_accepted_and_never_will_be(wait: str) -> None:
    """Behind a disk that stands still: the 504 says that it is not accepted, and so it is dropped."""
    async with http_exchange(game=FLOW, responses=SOON) as exchange:
        key = await exchange.team(role="player")
        with exchange.journal.held() as reached:
            before = asyncio.create_task(_enter(exchange, key, "before", wait))
            await reached.wait()
            stuck = asyncio.create_task(_enter(exchange, key, "stuck", wait))
            await until(lambda: exchange.exchange.path.depths()["order_queue"] == 1)
            assert (await _request_now(exchange, key, "stuck"))["status"] == "pending"
            assert (await _request_now(exchange, key, "before"))["status"] == "validating"
            await before
            await _check_timed_out(exchange, key, stuck, {"stage": "queue", "accepted": False})
        again = await _enter(exchange, key, "other", wait)
        assert again.status_code == 200
        listed = await exchange.send("GET", "/exchange/orders", key=key)
        assert {order["client_order_id"] for order in listed.json()["data"]["orders"]} == {"before", "other"}
        assert (await _request_now(exchange, key, "stuck"))["status"] == "timeout"


@pytest.mark.parametrize("wait", WAITS)
async def test_stuck_in_the_journal_nobody_knows(wait: str) -> None:
    """While the disk writes the 504 does not say whether it is accepted; once it has, the order is found."""
    async with http_exchange(game=FLOW, responses=SOON) as exchange:
        key = await exchange.team(role="player")
        with exchange.journal.held():
            stuck = asyncio.create_task(_enter(exchange, key, "stuck", wait))
            await _check_timed_out(exchange, key, stuck, {"stage": "validation"})
        await until(lambda: exchange.exchange.core.venue.statistics().live_orders == 1)
        request = await _request_now(exchange, key, "stuck")
        assert (request["status"], request["http_status"]) == ("timeout", 504)
        again = await _enter(exchange, key, "stuck", wait)
        assert again.json()["data"]["duplicate"] is True
        assert request["order_id"] == again.json()["order_id"]


@pytest.mark.parametrize("wait", WAITS)
@pytest.mark.parametrize(("stage", "status"), [("matching", "matching"), ("settlement", "settling")])
async def test_stuck_in_a_later_stage_is_accepted(wait: str, stage: str, status: str) -> None:
    """A venue or a settlement that stands still: those that wait for it get 504 with the order's id."""
    async with http_exchange(game=FLOW, responses=SOON) as exchange:
        key = await exchange.team(role="player")
        path = exchange.exchange.path
        with blocked(path._match if stage == "matching" else path._settle) as taken:
            sent = asyncio.create_task(_enter(exchange, key, "stuck", wait))
            await taken.wait()
            if WAITS.index(wait) < WAITS.index(stage):
                assert (await sent).status_code == 200
            else:
                assert (await _request_now(exchange, key, "stuck"))["status"] == status
                await _check_timed_out(exchange, key, sent, {"stage": stage, "accepted": True})
        await until(lambda: exchange.exchange.core.venue.statistics().live_orders == 1)
        again = await _enter(exchange, key, "stuck", "settlement")
        assert again.json()["order_id"] == (await sent).json()["order_id"]
        assert again.json()["data"]["status"] == "open"


async def test_stuck_cancel_and_amend_say_that_they_are_accepted() -> None:
    """They always answer with the matcher's result; past the journal they will take effect, and do."""
    async with http_exchange(game=FLOW, responses=SOON) as exchange:
        key = await exchange.team(role="player")
        _, second = [await _enter(exchange, key, name, "settlement") for name in ("first", "second")]
        with blocked(exchange.exchange.path._match):
            amend, cancel = await asyncio.gather(
                exchange.send("PATCH", "/exchange/orders/client:first", key=key, json={"quantity": 7}),
                exchange.send("DELETE", "/exchange/orders/client:second", key=key),
            )
        for answer in (amend, cancel):
            assert _error(answer, 504)["details"] == {"stage": "matching", "accepted": True}
        await until(lambda: exchange.exchange.core.venue.statistics().live_orders == 1)
        left = await exchange.send("GET", "/exchange/orders/client:first", key=key)
        assert left.json()["data"]["quantity"] == 7
        gone = await exchange.send("GET", f"/exchange/orders/{second.json()['order_id']}", key=key)
        assert gone.json()["data"]["status"] == "cancelled"


# --- what became of a request ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, ("completed", 200)),
        ({"price": 160.001}, None),
        ({"client_order_id": "used", "quantity": 9}, ("completed", 409)),
    ],
)
async def test_request_that_was_answered_is_kept_with_its_status(
    body: dict[str, Any], expected: tuple[str, int] | None
) -> None:
    """Refused in the order path counts as completed; what never entered it is not known."""
    async with http_exchange(game=FLOW) as exchange:
        key = await exchange.team(role="player")
        await exchange.order(key, **BUY, client_order_id="used")
        order = {"side": "buy", "quantity": 1, **BUY, **body}
        await exchange.send("POST", "/exchange/orders", key=key, json=order, **_named("mine", "settlement"))
        answer = await exchange.send("GET", "/exchange/requests/mine", key=key)
        if expected is None:
            assert _error(answer, 404)["code"] == "UNKNOWN_REQUEST"
        else:
            found = answer.json()["data"]
            assert (found["status"], found["http_status"]) == expected
            assert ("order_id" in found) is (expected == ("completed", 200))


async def test_request_that_met_a_bug_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """500, kept as such; the one after it is served."""
    async with http_exchange(game=FLOW) as exchange:
        key = await exchange.team(role="player")
        with monkeypatch.context() as patched:
            patched.setattr(exchange.exchange.core.admission, "admit", lambda *args: 1 / 0)
            broken = await _enter(exchange, key, "mine", "settlement")
        assert _error(broken, 500)["code"] == "INTERNAL_ERROR"
        found = await _request_now(exchange, key, "mine")
        assert (found["status"], found["http_status"]) == ("error", 500)
        assert (await _enter(exchange, key, "mine", "settlement")).status_code == 200


async def test_server_timing_names_the_stages_that_were_reached() -> None:
    """On every answer, refused or not, of commands and of reads; each stage once, in order, and the total."""
    async with http_exchange(game=FLOW) as exchange:
        key = await exchange.team(role="player")
        expected = {
            "validation": ["validation", "journal", "total"],
            "matching": ["validation", "journal", "matching", "total"],
            "settlement": ["validation", "journal", "matching", "settlement", "total"],
        }
        for wait, stages in expected.items():
            answer = await _enter(exchange, key, wait, wait)
            timing = answer.headers["server-timing"].split(", ")
            assert [each.split(";dur=")[0] for each in timing] == stages
            spans = [float(each.split(";dur=")[1]) for each in timing]
            assert sum(spans[:-1]) <= spans[-1] + 0.01
        reused = await exchange.order(key, **BUY, client_order_id="matching", quantity=5)
        for refused in (
            reused,
            await exchange.send("GET", "/nothing"),
            await exchange.send("POST", "/exchange/orders", json={}),
            await exchange.send("GET", "/admin/status", key=ADMIN_KEY),
        ):
            assert "total;dur=" in refused.headers["server-timing"]

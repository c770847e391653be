"""Races and ruses of teams against one another and against the operator."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from exchange.journal.records import decode_batches
from exchange.journal.stopped import StoppedJournal
from exchange.model.commands import CancelOrders
from exchange.model.types import CancelReason
from exchange.wire.ids import order_number
from tests.support.raid import Raid, Team, raid, roles_file

BUY: dict[str, Any] = {"instrument_id": "FLOW", "side": "buy", "quantity": 10, "price": 160.0}
SELL = BUY | {"side": "sell"}
AT_ONCE = 64

Answer = dict[str, Any]


async def _order_now(attack: Raid, team: Team, order_id: str) -> Answer:
    status, answer = await attack.send("GET", f"/exchange/orders/{order_id}", team.key)
    assert status == 200, answer
    return dict(answer["data"])


async def _open_orders(attack: Raid, team: Team) -> list[str]:
    _, answer = await attack.send("GET", "/exchange/orders?limit=1000", team.key)
    return [order["order_id"] for order in answer["data"]["orders"]]


def _codes(answers: list[tuple[int, Answer]]) -> set[tuple[int, str]]:
    return {(status, answer["error"]["code"]) for status, answer in answers if status != 200}


# --- amend, cancel and fill at once ----------------------------------------------------------------------


async def _race_once(attack: Raid, maker: Team, taker: Team, chance: random.Random) -> None:
    _, entered = await attack.order(maker, "settlement", **BUY)
    order_id = entered["order_id"]
    take = SELL | {"time_in_force": "ioc"}
    acts = [
        attack.order(taker, "settlement", **take | {"quantity": chance.randint(1, 12)}),
        attack.order(taker, "settlement", **take | {"quantity": chance.randint(1, 12)}),
        attack.amend(maker, order_id, quantity=chance.randint(1, 20)),
        attack.amend(maker, order_id, price=chance.choice([159.0, 160.0, 161.0])),
        attack.amend(maker, order_id, quantity=chance.randint(1, 20), price=160.005),
        attack.cancel(maker, order_id),
    ]
    chance.shuffle(acts)
    results = await asyncio.gather(*acts)
    assert {code for _, code in _codes(results)} <= {"AMEND_FAILED", "CANCEL_FAILED"}
    order = await _order_now(attack, maker, order_id)
    assert order["status"] in ("cancelled", "filled")
    done = [answer for _, answer in results if answer["success"]]
    taken = sum(answer["data"]["filled_quantity"] for answer in done if answer["order_id"] != order_id)
    assert order["filled_quantity"] == taken
    ends = [
        answer
        for answer in done
        if answer["order_id"] == order_id and answer["data"]["status"] == "cancelled"
    ]
    assert len(ends) == (order["status"] == "cancelled")


async def test_amends_and_cancels_race_with_fills(tmp_path: Path) -> None:
    """Amends, a cancel and takers of one order at once: one end, and every lot is counted on both sides."""
    chance = random.Random(3)
    async with raid(tmp_path) as attack:
        maker, taker = await attack.team("Maker"), await attack.team("Taker")
        for _ in range(60):
            await _race_once(attack, maker, taker, chance)


# --- names -----------------------------------------------------------------------------------------------


async def test_one_client_order_id_from_64_connections_is_one_order(tmp_path: Path) -> None:
    """The same body at once: one order, all answered with it. Different bodies: one order, 63 conflicts."""
    async with raid(tmp_path) as attack:
        team = await attack.team("Alpha")
        same = await asyncio.gather(
            *(attack.order(team, client_order_id="same", **BUY) for _ in range(AT_ONCE))
        )
        assert len({answer["order_id"] for _, answer in same}) == 1
        assert len({answer["timestamp"] for _, answer in same}) == 1
        assert sum("data" not in answer for _, answer in same) == 1, "all but the first are duplicates"
        other = await asyncio.gather(
            *(
                attack.order(team, client_order_id="other", **BUY | {"quantity": number})
                for number in range(1, AT_ONCE + 1)
            )
        )
        assert sorted(status for status, _ in other) == [200] + [409] * (AT_ONCE - 1)
        assert len(await _open_orders(attack, team)) == 2


async def test_client_order_id_is_a_teams_own_and_used_up_for_the_game(tmp_path: Path) -> None:
    """Teams do not share ids; one that was filled or cancelled is answered again, never entered again."""
    async with raid(tmp_path) as attack:
        alpha, beta = await attack.team("Alpha"), await attack.team("Beta")
        _, bought = await attack.order(alpha, client_order_id="mine", **BUY)
        _, sold = await attack.order(beta, "settlement", client_order_id="mine", **SELL)
        assert bought["order_id"] != sold["order_id"]
        _, again = await attack.order(alpha, client_order_id="mine", **BUY)
        assert (again["order_id"], again["data"]["status"]) == (bought["order_id"], "filled")
        _, entered = await attack.order(alpha, client_order_id="gone", **BUY)
        await attack.cancel(alpha, entered["order_id"])
        _, again = await attack.order(alpha, client_order_id="gone", **BUY)
        assert (again["order_id"], again["data"]["status"]) == (entered["order_id"], "cancelled")
        other = await attack.order(alpha, client_order_id="gone", **BUY | {"quantity": 1})
        assert _codes([other]) == {(409, "CLIENT_ORDER_ID_REUSED")}
        assert await _open_orders(attack, alpha) == []


async def test_request_id_shared_by_requests_under_way_mixes_nothing_up(tmp_path: Path) -> None:
    """64 orders at once under one X-Request-ID: each gets the answer to its own body."""
    async with raid(tmp_path) as attack:
        team = await attack.team("Alpha")
        answers = await asyncio.gather(
            *(
                attack.order(team, "matching", {"X-Request-ID": "one"}, **BUY | {"quantity": number})
                for number in range(1, AT_ONCE + 1)
            )
        )
        assert [answer["data"]["quantity"] for _, answer in answers] == list(range(1, AT_ONCE + 1))
        assert {answer["request_id"] for _, answer in answers} == {"one"}
        assert len({answer["order_id"] for _, answer in answers}) == AT_ONCE
        status, found = await attack.send("GET", "/exchange/requests/one", team.key)
        assert (status, found["data"]["status"]) == (200, "completed")


# --- other people's orders -----------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["order_id", "client_order_id"])
async def test_orders_of_others_can_be_neither_seen_nor_touched(tmp_path: Path, by: str) -> None:
    """Another team's order is answered as one that never was, by every method and under every name."""
    async with raid(tmp_path) as attack:
        owner, thief = await attack.team("Owner"), await attack.team("Thief")
        _, entered = await attack.order(owner, "settlement", client_order_id="mine", **BUY)
        foreign = entered["order_id"] if by == "order_id" else "client:mine"
        unknown = "ORD_999999" if by == "order_id" else "client:never"
        for method, body in (("GET", None), ("PATCH", {"quantity": 1}), ("DELETE", None)):
            answers = [
                await attack.send(method, f"/exchange/orders/{each}", thief.key, json=body)
                for each in (foreign, unknown)
            ]
            assert [status for status, _ in answers] == [404, 404]
            assert answers[0][1]["error"] == answers[1][1]["error"]
        await attack.send("DELETE", "/exchange/orders", thief.key)
        assert await _open_orders(attack, owner) == [entered["order_id"]]


@pytest.mark.parametrize(("preset", "role"), [("flow", "player"), ("small", "arbitrage")])
async def test_trades_with_oneself_book_both_sides_or_none(tmp_path: Path, preset: str, role: str) -> None:
    """Prevented, the taker is cancelled and nothing moves; allowed, the position nets to zero."""
    name, price = ("FLOW", 160.0) if preset == "flow" else ("SPX", 4400.0)
    terms = {"instrument_id": name, "quantity": 5, "price": price}
    async with raid(tmp_path, "--preset", preset) as attack:
        team = await attack.team("Alpha", role)
        _, resting = await attack.order(team, "settlement", side="buy", **terms)
        _, crossing = await attack.order(team, "settlement", side="sell", **terms)
        _, held = await attack.send("GET", "/positions", team.key)
        assert held["data"]["positions"].get(name, 0) == 0
        assert held["data"]["cash"] == 0
        maker, taker = [await _order_now(attack, team, each["order_id"]) for each in (resting, crossing)]
        if preset == "flow":
            assert [maker["status"], taker["status"]] == ["filled", "filled"]
        else:
            assert [maker["status"], taker["status"]] == ["open", "cancelled"]
            assert taker["cancel_reason"] == "self_trade"


# --- the operator steps in -----------------------------------------------------------------------------


async def _keep_ordering(attack: Raid, team: Team, stop: asyncio.Event) -> list[tuple[int, Answer]]:
    answers = []
    while not stop.is_set():
        answers.append(await attack.order(team, **BUY))
    return answers


async def test_team_disabled_in_flight_has_no_order_left_and_enters_none(tmp_path: Path) -> None:
    """Once disabling is answered every order is gone: each was refused or cancelled, none in between."""
    async with raid(tmp_path) as attack:
        team = await attack.team("Runaway")
        admin = attack.server.admin_key
        for _ in range(10):
            stop = asyncio.Event()
            flood = [asyncio.create_task(_keep_ordering(attack, team, stop)) for _ in range(16)]
            await asyncio.wait(flood, timeout=0.05)
            status, _ = await attack.send("POST", f"/admin/teams/{team.team_id}/disable", admin)
            assert status == 200
            assert await _open_orders(attack, team) == []
            stop.set()
            answers = [answer for each in await asyncio.gather(*flood) for answer in each]
            assert _codes(answers) <= {(403, "TEAM_DISABLED")}
            assert await _open_orders(attack, team) == []
            status, _ = await attack.send("POST", f"/admin/teams/{team.team_id}/enable", admin)
            assert status == 200


async def test_rotated_key_is_void_at_once_on_every_connection(tmp_path: Path) -> None:
    """Orders in flight finish; sockets of the old key are closed with 4003; the new key has everything."""
    async with raid(tmp_path) as attack:
        team = await attack.team("Alpha")
        old = Team(team.team_id, team.key)
        url = f"{attack.server.url}/ws"
        sockets = [await attack.session.ws_connect(url, headers={"X-API-Key": old.key}) for _ in range(5)]
        stop = asyncio.Event()
        flood = [asyncio.create_task(_keep_ordering(attack, old, stop)) for _ in range(16)]
        await asyncio.wait(flood, timeout=0.05)
        path = f"/admin/teams/{team.team_id}/rotate-key"
        status, rotated = await attack.send("POST", path, attack.server.admin_key)
        assert status == 200
        assert _codes([await attack.order(old, **BUY)]) == {(401, "UNAUTHENTICATED")}
        stop.set()
        answers = [answer for each in await asyncio.gather(*flood) for answer in each]
        assert _codes(answers) <= {(401, "UNAUTHENTICATED")}
        for socket in sockets:
            assert await _close_code(socket) == 4003
        team.key = attack.keys[team.team_id] = rotated["data"]["api_key"]
        assert set(await _open_orders(attack, team)) == attack.acknowledged[team.team_id]


async def _close_code(socket: aiohttp.ClientWebSocketResponse) -> int | None:
    async with asyncio.timeout(10):
        async for _ in socket:
            pass
    return socket.close_code


# --- rehearsals ----------------------------------------------------------------------------------------


async def test_dry_runs_leave_no_trace(tmp_path: Path) -> None:
    """Hundreds of rehearsals, good and bad: same state hash, no place taken in limit or rate, no id used."""
    config = roles_file(
        tmp_path,
        [
            '{name = "player", constraints = [{type = "order_rate", max_orders_per_second = 3},'
            ' {type = "position_limit", max_position = 10}, {type = "no_two_sided"}]}'
        ],
    )
    async with raid(tmp_path, "--preset", "flow", "--config", config) as attack:
        team = await attack.team("Alpha")
        before = await attack.audit()
        rehearsals = await asyncio.gather(
            *(
                attack.send(
                    "POST",
                    "/exchange/orders/validate",
                    team.key,
                    json=BUY | {"quantity": number % 13, "client_order_id": f"id{number % 7}"},
                )
                for number in range(400)
            )
        )
        assert _codes(rehearsals) == {(400, "INVALID_REQUEST"), (400, "POSITION_LIMIT_EXCEEDED")}
        assert await attack.audit() == before
        entered = [
            await attack.order(team, **BUY | {"quantity": 3, "client_order_id": f"id{number}"})
            for number in range(3)
        ]
        assert [status for status, _ in entered] == [200, 200, 200]
        numbers = [order_number(answer["order_id"]) or 0 for _, answer in entered]
        assert numbers == list(range(numbers[0], numbers[0] + 3))


# --- past a limit ----------------------------------------------------------------------------------------


async def test_fills_past_the_portfolio_limit_cancel_what_would_increase_it(tmp_path: Path) -> None:
    """Bids, each within the limit, are filled past it: one command takes the others, what reduces stays."""
    config = roles_file(
        tmp_path, ['{name = "player", constraints = [{type = "portfolio_limit", max_total_position = 10}]}']
    )
    async with raid(tmp_path, "--preset", "flow", "--config", config) as attack:
        team = await attack.team("Alpha")
        bids = [(await attack.order(team, **BUY | {"quantity": 4}))[1]["order_id"] for _ in range(7)]
        _, ask = await attack.order(team, **SELL | {"quantity": 4, "price": 170.0})
        for number in range(3):
            seller = await attack.team(f"Seller {number}")
            await attack.order(seller, "settlement", **SELL | {"quantity": 4})
        async with asyncio.timeout(10):
            while await _open_orders(attack, team) != [ask["order_id"]]:
                pass
        states = [await _order_now(attack, team, each) for each in bids]
        assert [state["status"] for state in states] == ["filled"] * 3 + ["cancelled"] * 4
        assert {state["cancel_reason"] for state in states[3:]} == {"portfolio_limit"}
        refused = await attack.order(team, **BUY | {"quantity": 1})
        assert _codes([refused]) == {(400, "PORTFOLIO_LIMIT_EXCEEDED")}
    commands = [record.command for record in decode_batches(StoppedJournal(tmp_path / "data").read())]
    cancels = [command for command in commands if isinstance(command, CancelOrders)]
    assert [(each.account, each.reason) for each in cancels] == [(1, CancelReason.PORTFOLIO_LIMIT)]

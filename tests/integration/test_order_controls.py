"""Order types and controls through a whole exchange: HTTP, WebSocket, clock and replay."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest

from exchange.app import build_core
from exchange.base.clock import ManualClock
from exchange.config import GameConfig
from exchange.model.reasons import Code
from exchange.pipeline.recovery import recover
from exchange.wire.times import microseconds
from tests.support.http_exchange import ADMIN_KEY, HttpExchange, http_exchange
from tests.support.ws_exchange import ws_exchange

MORNING = datetime.fromisoformat("2024-01-15T10:00:00Z")


@pytest.fixture
def clock() -> ManualClock:
    """Ten in the morning."""
    return ManualClock(microseconds(MORNING))


@pytest.fixture
async def exchange(clock: ManualClock) -> AsyncIterator[HttpExchange]:
    """A running exchange by that clock."""
    async with http_exchange(clock=clock) as running:
        yield running


def _body(**fields: Any) -> dict[str, Any]:
    body = {"instrument_id": "SPX", "side": "buy", "quantity": 1, "price": 4400.0} | fields
    return {name: value for name, value in body.items() if value is not None}


async def _view(exchange: HttpExchange, key: str, order_id: str) -> dict[str, Any]:
    answer = await exchange.send("GET", f"/exchange/orders/{order_id}", key=key)
    view: dict[str, Any] = answer.json()["data"]
    return view


async def _enter(exchange: HttpExchange, key: str, **fields: Any) -> dict[str, Any]:
    answer = await exchange.order(key, "settlement", **fields)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return {"order_id": body["order_id"], **body["data"]}


REFUSED: list[tuple[dict[str, Any], tuple[int, str]]] = [
    ({"stop_price": 4400.001}, (400, Code.PRICE_NOT_ON_TICK)),
    ({"stop_price": 4410.0, "order_type": "limit"}, (400, Code.ORDER_TYPE_CONTRADICTION)),
    ({"stop_price": 4410.0, "price": None, "time_in_force": "ioc"}, (400, Code.TIME_IN_FORCE_NOT_ALLOWED)),
    ({"time_in_force": "at_the_open"}, (400, Code.TIME_IN_FORCE_NOT_ALLOWED)),
    ({"time_in_force": "gtd"}, (400, Code.CONTROL_CONTRADICTION)),
    (
        {"time_in_force": "gtd", "expires_at": "2024-01-15T10:00:00Z"},
        (400, Code.EXPIRES_AT_OUT_OF_RANGE),
    ),
    ({"time_in_force": "gtd", "expires_at": "2024-01-15T11:00:00"}, (400, Code.INVALID_REQUEST)),
    ({"post_only": "refuse", "time_in_force": "ioc"}, (400, Code.CONTROL_CONTRADICTION)),
    ({"post_only": True}, (400, Code.INVALID_REQUEST)),
    ({"display_quantity": 2}, (400, Code.DISPLAY_QUANTITY_OUT_OF_RANGE)),
    ({"reduce_only": True}, (400, Code.REDUCE_ONLY_REFUSED)),
    ({"self_trade_prevention": "none"}, (400, Code.SELF_TRADE_PREVENTION_NOT_ALLOWED)),
    ({"label": "no spaces"}, (400, Code.INVALID_REQUEST)),
]


@pytest.mark.parametrize(("fields", "expected"), REFUSED)
async def test_control_is_refused_alike_on_every_way_in(
    exchange: HttpExchange, fields: dict[str, Any], expected: tuple[int, str]
) -> None:
    """The order, its rehearsal and a batch; what is no request refuses a batch as a whole."""
    key, body = await exchange.team(), _body(**fields)
    for path in ("/exchange/orders/validate", "/exchange/orders"):
        answer = await exchange.send("POST", path, key=key, json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == expected
    batch = await exchange.send("POST", "/exchange/orders/batch", key=key, json={"orders": [body, _body()]})
    if expected[1] == Code.INVALID_REQUEST:
        assert batch.status_code == 400
    else:
        first, second = batch.json()["data"]["answers"]
        assert (first["status"], first["error"]["code"]) == expected
        assert second["success"] is True


@pytest.mark.parametrize(
    "fields",
    [
        {"stop_price": 4410.0, "price": None},
        {"stop_price": 4410.0, "price": 4411.0, "label": "grid.1"},
        {"time_in_force": "fok"},
        {"time_in_force": "gtd", "expires_at": "2024-01-15T12:00:00+01:00"},
        {"post_only": "reprice", "display_quantity": 1, "self_trade_prevention": "decrement"},
    ],
)
async def test_control_is_accepted_alike_on_every_way_in(
    exchange: HttpExchange, fields: dict[str, Any]
) -> None:
    """A rehearsal says so too, and the order is shown with its terms, a time as UTC."""
    key, body = await exchange.team(role="market_maker"), _body(**fields)
    rehearsed = await exchange.send("POST", "/exchange/orders/validate", key=key, json=body)
    assert rehearsed.status_code == 200
    batch = await exchange.send("POST", "/exchange/orders/batch", key=key, json={"orders": [body]})
    (answer,) = batch.json()["data"]["answers"]
    view = await _view(exchange, key, answer["order_id"])
    for name, value in body.items():
        assert view[name] == (value if name != "expires_at" else "2024-01-15T11:00:00.000000Z")


async def test_stop_is_shown_amended_and_triggered(exchange: HttpExchange) -> None:
    """Untriggered in no depth; amended to another stop price; filled when a trade reaches it."""
    stopper, other, third = [await exchange.team(name, "arbitrage") for name in ("Stop", "Other", "Third")]
    await _enter(exchange, other, side="sell", quantity=5, price=4402.0)
    stop = await _enter(exchange, stopper, quantity=2, price=None, stop_price=4420.0)
    assert (stop["status"], stop["stop_price"]) == ("untriggered", 4420.0)
    path = f"/exchange/orders/{stop['order_id']}"
    amended = await exchange.send("PATCH", path, key=stopper, json={"stop_price": 4402.0})
    assert amended.json()["data"]["stop_price"] == 4402.0
    assert (await _view(exchange, stopper, stop["order_id"]))["stop_price"] == 4402.0
    book = await exchange.send("GET", "/exchange/orderbook/SPX")
    assert book.json()["data"]["bids"] == []
    await _enter(exchange, third, quantity=1, price=4402.0)
    view = await _view(exchange, stopper, stop["order_id"])
    assert (view["status"], view["filled_quantity"], view["average_price"]) == ("filled", 2, 4402.0)
    late = await exchange.send("PATCH", path, key=stopper, json={"stop_price": 4400.0})
    assert (late.status_code, late.json()["error"]["code"]) == (404, Code.AMEND_FAILED)


@pytest.mark.parametrize("wait", ["matching", "settlement"])
@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"stop_price": 4410.0}, "untriggered"),
        ({"time_in_force": "fok"}, "cancelled"),
        ({"post_only": "refuse"}, "open"),
    ],
)
async def test_order_with_terms_that_waits_is_answered_with_its_state(
    exchange: HttpExchange, wait: str, fields: dict[str, Any], status: str
) -> None:
    """Whichever of the later stages was waited for."""
    answer = await exchange.order(await exchange.team(), wait, **fields)
    assert answer.json()["data"]["status"] == status


async def test_post_only_amend_that_would_trade_is_refused(exchange: HttpExchange) -> None:
    """409, and the order stands."""
    key, other = await exchange.team(), await exchange.team("Other")
    await _enter(exchange, other, side="sell", price=4401.0)
    order_id = (await _enter(exchange, key, post_only="refuse"))["order_id"]
    path = f"/exchange/orders/{order_id}"
    answer = await exchange.send("PATCH", path, key=key, json={"price": 4401.0})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, Code.POST_ONLY_WOULD_TRADE)
    assert (await _view(exchange, key, order_id))["price"] == 4400.0


async def test_mass_cancel_takes_one_label(exchange: HttpExchange) -> None:
    """With instrument and side what is within all three; the others stay."""
    key = await exchange.team()
    for fields in ({"label": "a"}, {"label": "a", "stop_price": 4500.0}, {"label": "b"}, {}):
        await _enter(exchange, key, **fields)
    for query, cancelled in (
        ("label=a&side=sell", 0),
        ("label=a&instrument_id=SPY", 0),
        ("label=a", 2),
        ("label=nobody", 0),
    ):
        answer = await exchange.send("DELETE", f"/exchange/orders?{query}", key=key)
        assert answer.json()["data"]["cancelled"] == cancelled
    listed = (await exchange.send("GET", "/exchange/orders", key=key)).json()["data"]["orders"]
    assert [order.get("label") for order in listed] == [None, "b"]


async def test_gtd_order_expires_by_the_clock_and_replays(exchange: HttpExchange, clock: ManualClock) -> None:
    """Not a moment before its time; the replay ends it at the same place."""
    key = await exchange.team()
    fields = {"time_in_force": "gtd", "expires_at": "2024-01-15T10:00:30Z"}
    order_id = (await _enter(exchange, key, **fields))["order_id"]
    for seconds, status in ((29.9, "open"), (0.2, "cancelled")):
        clock.advance(seconds)
        exchange.exchange.expiry_clock.check()
        # An act of the operator is settled behind everything before it.
        act = {"name": f"T{seconds}", "role": "retail"}
        assert (await exchange.send("POST", "/admin/teams", key=ADMIN_KEY, json=act)).status_code == 200
        assert (await _view(exchange, key, order_id))["status"] == status
    assert (await _view(exchange, key, order_id))["cancel_reason"] == "expired"
    core = exchange.exchange.core
    assert recover(exchange.journal, core.rules, build_core).core.state_hash() == core.state_hash()


@pytest.mark.parametrize(
    ("preset", "told", "status"),
    [("competition", "day", 400), ("weekday", "day", 400), ("small", "gtc", 200)],
)
async def test_order_lasts_no_longer_than_the_close_allows(
    clock: ManualClock, preset: str, told: str, status: int
) -> None:
    """Without time_in_force as long as it may; good till cancelled only where nothing ends it."""
    async with http_exchange(game=GameConfig(preset=preset), clock=clock) as running:
        key = await running.team(role="market_maker")
        open_market = {"phase": "continuous", "reason": "test"}
        await running.send("POST", "/admin/phase", key=ADMIN_KEY, json=open_market)
        for fields in ({}, {"stop_price": 4500.0}):
            entered = await _enter(running, key, **fields)
            assert (await _view(running, key, entered["order_id"]))["time_in_force"] == told
        answer = await running.order(key, time_in_force="gtc")
        assert answer.status_code == status
        assert status == 200 or answer.json()["error"]["code"] == Code.TIME_IN_FORCE_NOT_ALLOWED


@pytest.mark.parametrize("subprotocol", [None, "exchange.msgpack"])
async def test_controls_over_a_socket(subprotocol: str | None) -> None:
    """Either encoding: the acknowledgement has the terms, the trigger is told before its fill."""
    async with ws_exchange() as running:
        key, other = await running.team("Stop", "arbitrage"), await running.team("Other", "market_maker")
        mine, _ = await running.socket(key, subprotocol=subprotocol)
        theirs, _ = await running.socket(other)
        await theirs.result("order.new", **_body(side="sell", quantity=5), wait="settlement")
        await mine.result("subscribe", channels=["private"])
        terms = {"stop_price": 4400.0, "expires_at": "2090-01-01T00:00:00Z", "time_in_force": "gtd"}
        refused = await mine.ask("order.new", **_body(**terms))
        assert refused["error"]["code"] == Code.EXPIRES_AT_OUT_OF_RANGE
        for fields in (
            {"label": "s", "stop_price": 4399.0, "side": "sell", "price": 4398.0},
            {"label": "s", "stop_price": 4400.0, "price": None, "time_in_force": "day"},
        ):
            await mine.result("order.new", **_body(**fields), wait="settlement")
        cancelled = await mine.result("orders.cancel_all", label="s")
        assert cancelled["data"]["cancelled"] == 1
        snapshot, *events = await mine.until(7)
        assert snapshot["type"] == "position_snapshot"
        assert [event["type"] for event in events] == [
            "new_order_ack",
            "new_order_ack",
            "order_triggered",
            "execution_report",
            "position_update",
            "order_cancelled",
        ]
        assert (events[0]["stop_price"], events[0]["label"]) == (4399.0, "s")
        assert events[0]["order_type"] == "stop_limit"
        assert "price" not in events[2]
        await mine.connection.close()
        await theirs.connection.close()

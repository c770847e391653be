"""Orders over HTTP, on a whole exchange."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from exchange.config import CoordinationConfig, GameConfig
from exchange.model.reasons import Code
from tests.support.http_exchange import ADMIN_KEY, HttpExchange, http_exchange


@pytest.fixture
async def exchange() -> AsyncIterator[HttpExchange]:
    """A running exchange."""
    async with http_exchange() as running:
        yield running


def _error(answer: Any) -> tuple[int, str]:
    body = answer.json()
    assert body["success"] is False
    return answer.status_code, body["error"]["code"]


async def test_order_is_answered_with_its_id_alone(exchange: HttpExchange) -> None:
    """Once validated and durable: success, order id, and no data."""
    answer = await exchange.order(await exchange.team(), client_order_id="mine")
    assert answer.status_code == 200
    assert answer.json().keys() == {"success", "request_id", "order_id", "timestamp"}
    assert answer.json()["order_id"].startswith("ORD_")


@pytest.mark.parametrize(
    ("wait", "stages"), [("matching", {"matching"}), ("settlement", {"matching", "settlement"})]
)
async def test_order_that_waits_is_answered_with_its_state(
    exchange: HttpExchange, wait: str, stages: set[str]
) -> None:
    """``wait`` puts fills, average price and fees into data, and its stages into Server-Timing."""
    buyer, seller = await exchange.team("Buyer"), await exchange.team("Seller")
    await exchange.order(seller, side="sell", quantity=2, price=4400.5)
    await exchange.order(seller, side="sell", quantity=2, price=4401.0)
    answer = await exchange.order(buyer, wait, quantity=3, price=4401.0)
    assert answer.json()["data"] == {
        "status": "filled",
        "quantity": 3,
        "price": 4401.0,
        "filled_quantity": 3,
        "remaining_quantity": 0,
        "average_price": pytest.approx(4400.6667, abs=1e-4),
        "fees": -0.06,
    }
    timing = answer.headers["server-timing"]
    assert {name.split(";")[0] for name in timing.split(", ")} == {"validation", "journal", "total"} | stages


async def test_order_sent_again_is_answered_as_the_first(exchange: HttpExchange) -> None:
    """Same id and body: the same order id and timestamp, marked, with the state of now."""
    key = await exchange.team()
    first = (await exchange.order(key, wait="settlement", client_order_id="mine")).json()
    second = (await exchange.order(key, client_order_id="mine")).json()
    assert (second["order_id"], second["timestamp"]) == (first["order_id"], first["timestamp"])
    assert second["data"]["duplicate"] is True
    assert second["data"]["status"] == "open"
    other = await exchange.order(key, client_order_id="mine", quantity=2)
    assert _error(other) == (409, Code.CLIENT_ORDER_ID_REUSED)
    assert other.json()["error"]["details"]["order_id"] == first["order_id"]


async def test_rejected_order_does_not_use_up_its_id(exchange: HttpExchange) -> None:
    """What was refused may be sent again, corrected."""
    key = await exchange.team()
    assert _error(await exchange.order(key, client_order_id="mine", price=1.0)) == (
        400,
        Code.PRICE_OUT_OF_BAND,
    )
    assert (await exchange.order(key, client_order_id="mine")).status_code == 200


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"instrument_id": "NOPE"}, (404, Code.UNKNOWN_INSTRUMENT)),
        ({"price": 4400.001}, (400, Code.PRICE_NOT_ON_TICK)),
        ({"price": 9_000.0}, (400, Code.PRICE_OUT_OF_BAND)),
        ({"price": 30_000_000.0}, (400, Code.PRICE_OUT_OF_RANGE)),
        ({"price": None, "order_type": "limit"}, (400, Code.ORDER_TYPE_CONTRADICTION)),
        ({"order_type": "market"}, (400, Code.ORDER_TYPE_CONTRADICTION)),
        ({"price": None, "time_in_force": "gtc"}, (400, Code.TIME_IN_FORCE_NOT_ALLOWED)),
        ({"quantity": 201}, (400, Code.POSITION_LIMIT_EXCEEDED)),
        ({"quantity": 501}, (400, Code.ORDER_SIZE_OUT_OF_RANGE)),
        ({"quantity": 0}, (400, Code.INVALID_REQUEST)),
        ({"colour": "red"}, (400, Code.INVALID_REQUEST)),
    ],
)
async def test_order_is_refused_with_the_code_of_what_is_wrong(
    exchange: HttpExchange, fields: dict[str, Any], expected: tuple[int, str]
) -> None:
    """The dry run says the same as the order itself, and neither enters anything."""
    key = await exchange.team()
    body = {"instrument_id": "SPX", "side": "buy", "quantity": 1, "price": 4400.0} | fields
    body = {name: value for name, value in body.items() if value is not None}
    for path in ("/exchange/orders/validate", "/exchange/orders"):
        assert _error(await exchange.send("POST", path, key=key, json=body)) == expected
    listed = await exchange.send("GET", "/exchange/orders?status=all", key=key)
    assert listed.json()["data"]["orders"] == []


async def test_refusal_shows_prices_as_decimals(exchange: HttpExchange) -> None:
    """Details never show ticks."""
    answer = await exchange.order(await exchange.team(), price=9_000.0)
    assert answer.json()["error"]["details"] == {
        "instrument_id": "SPX",
        "price": 9000.0,
        "low": 3520.0,
        "high": 5280.0,
    }


async def test_validate_changes_nothing(exchange: HttpExchange) -> None:
    """A dry run reserves nothing and is no order."""
    key = await exchange.team()
    body = {"instrument_id": "SPX", "side": "buy", "quantity": 200, "price": 4400.0}
    for _ in range(10):
        answer = await exchange.send("POST", "/exchange/orders/validate", key=key, json=body)
        assert answer.json()["data"] == {"valid": True}
    assert (await exchange.order(key, quantity=200)).status_code == 200


async def test_order_rate_says_when_to_come_back(exchange: HttpExchange) -> None:
    """429 has Retry-After in seconds and retry_after_ms beside the code."""
    key = await exchange.team()
    answers = [await exchange.order(key) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[-1].headers["retry-after"] == "1"
    assert 0 < answers[-1].json()["error"]["retry_after_ms"] <= 1000


async def test_order_is_found_by_either_name(exchange: HttpExchange) -> None:
    """ORD_n, or client: and the client's own id; another team finds it by neither."""
    owner, stranger = await exchange.team("Owner"), await exchange.team("Stranger")
    order_id = (await exchange.order(owner, client_order_id="mine")).json()["order_id"]
    for name in (order_id, "client:mine"):
        found = await exchange.send("GET", f"/exchange/orders/{name}", key=owner)
        assert found.json()["data"]["order_id"] == found.json()["order_id"] == order_id
        assert _error(await exchange.send("GET", f"/exchange/orders/{name}", key=stranger)) == (
            404,
            Code.UNKNOWN_ORDER,
        )


@pytest.mark.parametrize(
    "name", ["ORD_999", "ORD_0", "ORD_01", "ord_1", "1", "client:", "client:nope", "ORD_1%0A"]
)
async def test_order_nobody_has_is_unknown(exchange: HttpExchange, name: str) -> None:
    """An id that is none is an unknown one."""
    key = await exchange.team()
    await exchange.order(key)
    path = f"/exchange/orders/{name}"
    assert _error(await exchange.send("GET", path, key=key)) == (404, Code.UNKNOWN_ORDER)
    assert _error(await exchange.send("DELETE", path, key=key)) == (404, Code.CANCEL_FAILED)
    amended = await exchange.send("PATCH", path, key=key, json={"quantity": 1})
    assert _error(amended) == (404, Code.AMEND_FAILED)


@pytest.mark.parametrize("name", ["{order_id}", "client:mine"])
async def test_cancel_answers_with_the_matchers_result(exchange: HttpExchange, name: str) -> None:
    """What was filled stays filled, the rest is given up; a second cancel is refused."""
    buyer, seller = await exchange.team("Buyer"), await exchange.team("Seller")
    order_id = (await exchange.order(buyer, quantity=5, client_order_id="mine")).json()["order_id"]
    await exchange.order(seller, "settlement", side="sell", quantity=2)
    path = f"/exchange/orders/{name.format(order_id=order_id)}"
    cancelled = (await exchange.send("DELETE", path, key=buyer)).json()
    assert cancelled["order_id"] == order_id
    assert cancelled["data"]["status"] == "cancelled"
    assert (cancelled["data"]["filled_quantity"], cancelled["data"]["remaining_quantity"]) == (2, 0)
    assert _error(await exchange.send("DELETE", path, key=buyer)) == (404, Code.CANCEL_FAILED)


async def test_refused_cancels_are_all_alike(exchange: HttpExchange) -> None:
    """Unknown, another team's and finished: the same words, so that a stranger learns nothing."""
    owner, stranger = await exchange.team("Owner"), await exchange.team("Stranger")
    order_id = (await exchange.order(owner)).json()["order_id"]
    refused = [
        await exchange.send("DELETE", "/exchange/orders/ORD_999", key=stranger),
        await exchange.send("DELETE", f"/exchange/orders/{order_id}", key=stranger),
    ]
    await exchange.send("DELETE", f"/exchange/orders/{order_id}", key=owner)
    refused.append(await exchange.send("DELETE", f"/exchange/orders/{order_id}", key=owner))
    assert all(answer.status_code == 404 for answer in refused)
    assert len({str(answer.json()["error"]) for answer in refused}) == 1


async def test_amend_answers_with_the_new_terms(exchange: HttpExchange) -> None:
    """``quantity`` is the new total, ``price`` the new limit; one alone keeps the other."""
    key = await exchange.team()
    order_id = (await exchange.order(key, quantity=5)).json()["order_id"]
    path = f"/exchange/orders/{order_id}"
    amended = (await exchange.send("PATCH", path, key=key, json={"quantity": 3})).json()["data"]
    assert (amended["quantity"], amended["price"]) == (3, 4400.0)
    amended = (await exchange.send("PATCH", path, key=key, json={"price": 4399.5})).json()["data"]
    assert (amended["quantity"], amended["price"]) == (3, 4399.5)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, (400, Code.INVALID_REQUEST)),
        ({"price": 4399.505}, (400, Code.PRICE_NOT_ON_TICK)),
        ({"price": 1.0}, (400, Code.PRICE_OUT_OF_BAND)),
        ({"quantity": 500}, (400, Code.POSITION_LIMIT_EXCEEDED)),
        ({"quantity": 1, "side": "sell"}, (400, Code.INVALID_REQUEST)),
    ],
)
async def test_amend_is_refused_as_an_order_would_be(
    exchange: HttpExchange, body: dict[str, Any], expected: tuple[int, str]
) -> None:
    """A refused amend leaves the order as it was."""
    key = await exchange.team()
    path = f"/exchange/orders/{(await exchange.order(key)).json()['order_id']}"
    assert _error(await exchange.send("PATCH", path, key=key, json=body)) == expected
    assert (await exchange.send("GET", path, key=key)).json()["data"]["quantity"] == 1


def _batch(*orders: dict[str, Any]) -> dict[str, Any]:
    order = {"instrument_id": "SPX", "side": "buy", "quantity": 1, "price": 4400.0}
    return {"orders": [order | each for each in orders]}


async def test_batch_answers_each_order_for_itself(exchange: HttpExchange) -> None:
    """In the order of the batch, with the codes and words a single order would have got."""
    key = await exchange.team(role="market_maker")
    wrong: dict[str, Any] = {"price": 4400.001}
    body = _batch({"client_order_id": "a"}, wrong, {"client_order_id": "a"}, {"instrument_id": "NOPE"}, {})
    path = "/exchange/orders/batch"
    answer = await exchange.send("POST", path, key=key, json=body, headers={"X-Request-ID": "mine"})
    first, second, third, fourth, fifth = answer.json()["data"]["answers"]
    assert [each["request_id"] for each in (first, second, fifth)] == ["mine.1", "mine.2", "mine.5"]
    assert [each["status"] for each in (first, second, third, fourth, fifth)] == [200, 400, 200, 404, 200]
    single = await exchange.order(key, **wrong)
    assert second["error"] == single.json()["error"]
    assert third["order_id"] == first["order_id"]
    assert third["data"]["duplicate"] is True
    assert fourth["error"]["code"] == Code.UNKNOWN_INSTRUMENT
    seen = await exchange.send("GET", "/exchange/requests/mine.5", key=key)
    assert seen.json()["data"]["order_id"] == fifth["order_id"]


async def test_batch_waits_as_an_order_does(exchange: HttpExchange) -> None:
    """``wait=settlement`` puts the state of each into its answer."""
    key = await exchange.team(role="market_maker")
    path = "/exchange/orders/batch?wait=settlement"
    answer = await exchange.send("POST", path, key=key, json=_batch({}, {"time_in_force": "ioc"}))
    states = [each["data"]["status"] for each in answer.json()["data"]["answers"]]
    assert states == ["open", "cancelled"]


async def test_batch_lets_nobody_in_between(exchange: HttpExchange) -> None:
    """Ids of a batch follow one another whatever others send meanwhile."""
    maker, other = await exchange.team(role="market_maker"), await exchange.team("Beta", "market_maker")
    batches = [
        exchange.send("POST", "/exchange/orders/batch", key=maker, json=_batch(*[{"price": 4300.0}] * 10))
        for _ in range(4)
    ]
    singles = [exchange.order(other, price=4200.0) for _ in range(40)]
    mixed = [each for pair in zip(batches, singles[:4], strict=True) for each in pair] + singles[4:]
    answers = [each.json() for each in await asyncio.gather(*mixed)]
    found = 0
    for answer in answers:
        if "data" in answer:
            ids = [int(each["order_id"].removeprefix("ORD_")) for each in answer["data"]["answers"]]
            assert ids == list(range(ids[0], ids[0] + 10))
            found += 1
    assert found == 4


async def test_batch_counts_each_order_towards_the_rate(exchange: HttpExchange) -> None:
    """A hedge fund may send five orders a second, in whatever envelope."""
    key = await exchange.team()
    answer = await exchange.send("POST", "/exchange/orders/batch", key=key, json=_batch(*[{}] * 7))
    statuses = [each["status"] for each in answer.json()["data"]["answers"]]
    assert statuses == [200] * 5 + [429] * 2
    assert answer.json()["data"]["answers"][5]["error"]["code"] == Code.ORDER_RATE_EXCEEDED


@pytest.mark.parametrize("orders", [[], [{}] * 51, [{}, {"quantity": 0}], [{}, {"colour": "red"}]])
async def test_batch_that_is_not_well_formed_enters_nothing(
    exchange: HttpExchange, orders: list[dict[str, Any]]
) -> None:
    """None, too many, or one that cannot be read: the whole is refused."""
    key = await exchange.team(role="market_maker")
    answer = await exchange.send("POST", "/exchange/orders/batch", key=key, json=_batch(*orders))
    assert _error(answer) == (400, Code.INVALID_REQUEST)
    listed = await exchange.send("GET", "/exchange/orders?status=all", key=key)
    assert listed.json()["data"]["orders"] == []


async def test_cancel_all_covers_one_side_in_one_instrument(exchange: HttpExchange) -> None:
    """The filters hold together, and the answer counts what they cover."""
    key = await exchange.team(role="market_maker")
    for side, instrument_id, price in (
        ("buy", "SPX", 4390.0),
        ("buy", "SPX", 4391.0),
        ("sell", "SPX", 4410.0),
        ("buy", "SPY", 430.0),
    ):
        await exchange.order(key, side=side, instrument_id=instrument_id, price=price)
    counts = []
    for query in ("?instrument_id=SPX&side=buy", "?side=sell", "?side=sell", ""):
        answer = await exchange.send("DELETE", f"/exchange/orders{query}", key=key)
        counts.append(answer.json()["data"]["cancelled"])
    assert counts == [2, 1, 0, 1]
    for side in ("long", "null", ""):
        bad = await exchange.send("DELETE", f"/exchange/orders?side={side}", key=key)
        assert _error(bad) == (400, Code.INVALID_REQUEST)


async def test_cancel_all_covers_what_is_on_its_way(exchange: HttpExchange) -> None:
    """An order accepted just before is cancelled too, though it had not reached the book."""
    key = await exchange.team()
    with exchange.journal.held() as writing:
        orders = [asyncio.create_task(exchange.order(key, price=4300.0 + each)) for each in range(3)]
        cancel = asyncio.create_task(exchange.send("DELETE", "/exchange/orders", key=key))
        await writing.wait()
    assert [(await each).status_code for each in orders] == [200, 200, 200]
    assert (await cancel).json()["data"]["cancelled"] == 3
    assert (await exchange.send("GET", "/exchange/orders", key=key)).json()["data"]["orders"] == []


async def test_cancel_all_leaves_nothing_open(exchange: HttpExchange) -> None:
    """Every order entered before the answer's sequence is gone; with an instrument only those in it."""
    key = await exchange.team()
    for instrument_id, price in (("SPX", 4400.0), ("SPX", 4399.0), ("SPY", 440.0)):
        await exchange.order(key, instrument_id=instrument_id, price=price)
    one = await exchange.send("DELETE", "/exchange/orders?instrument_id=SPX", key=key)
    assert one.json()["data"]["sequence"] > 0
    left = (await exchange.send("GET", "/exchange/orders", key=key)).json()["data"]["orders"]
    assert [order["instrument_id"] for order in left] == ["SPY"]
    await exchange.send("DELETE", "/exchange/orders", key=key)
    assert (await exchange.send("GET", "/exchange/orders", key=key)).json()["data"]["orders"] == []
    assert (await exchange.send("DELETE", "/exchange/orders", key=key)).status_code == 200
    unknown = await exchange.send("DELETE", "/exchange/orders?instrument_id=NOPE", key=key)
    assert _error(unknown) == (404, Code.UNKNOWN_INSTRUMENT)


async def _pages(exchange: HttpExchange, key: str, path: str, rows: str, name: str) -> list[str]:
    """Every id of a list, two at a time."""
    found: list[str] = []
    cursor = None
    while True:
        page = f"{path}{'&' if '?' in path else '?'}limit=2" + (f"&after={cursor}" if cursor else "")
        data = (await exchange.send("GET", page, key=key)).json()["data"]
        assert len(data[rows]) <= 2
        assert data[rows] or cursor is None, "a cursor led to an empty page"
        found += [row[name] for row in data[rows]]
        cursor = data.get("next_cursor")
        if cursor is None:
            return found


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("", [3, 1]),
        ("?status=open", [3, 1]),
        ("?status=finished", [4, 2, 0]),
        ("?status=all", [4, 3, 2, 1, 0]),
        ("?status=all&instrument_id=SPX", [4, 2, 1, 0]),
        ("?status=finished&instrument_id=SPY", []),
        ("?instrument_id=SPY", [3]),
    ],
)
async def test_orders_are_listed_newest_first_in_pages(
    exchange: HttpExchange, query: str, places: list[int]
) -> None:
    """Each order of the filter once, whatever the page; others' orders never."""
    key = await exchange.team(role="arbitrage")
    await exchange.order(await exchange.team("Stranger"))
    ids = []
    for place in range(5):
        of_spy = {"instrument_id": "SPY", "price": 440.0} if place == 3 else {}
        ids.append((await exchange.order(key, "settlement", **of_spy)).json()["order_id"])
    for place in (0, 2, 4):
        await exchange.send("DELETE", f"/exchange/orders/{ids[place]}", key=key)
    path = f"/exchange/orders{query}"
    assert await _pages(exchange, key, path, "orders", "order_id") == [ids[place] for place in places]


async def test_executions_and_trades_are_listed_oldest_first_in_pages(exchange: HttpExchange) -> None:
    """Both teams see their half of each trade, everyone the trade without names."""
    buyer, seller = await exchange.team("Buyer", "arbitrage"), await exchange.team("Seller", "arbitrage")
    for instrument_id, price in (("SPX", 4400.0), ("SPY", 440.0), ("SPX", 4400.0), ("SPX", 4400.0)):
        await exchange.order(seller, side="sell", instrument_id=instrument_id, price=price)
        await exchange.order(buyer, "settlement", instrument_id=instrument_id, price=price)
    bought = await _pages(exchange, buyer, "/exchange/executions", "executions", "trade_id")
    assert bought == await _pages(exchange, seller, "/exchange/executions", "executions", "trade_id")
    of_spx = "/exchange/executions?instrument_id=SPX"
    assert await _pages(exchange, buyer, of_spx, "executions", "trade_id") == [bought[0], *bought[2:]]
    public = await _pages(exchange, buyer, "/exchange/trades/SPX", "trades", "trade_id")
    assert public == [bought[0], *bought[2:]]
    trade = (await exchange.send("GET", "/exchange/trades/SPX")).json()["data"]["trades"][0]
    assert trade.keys() == {"trade_id", "price", "quantity", "side", "timestamp"}


async def test_request_is_found_by_its_id(exchange: HttpExchange) -> None:
    """A lost answer can be looked up by the one who asked, and by nobody else."""
    key, stranger = await exchange.team(), await exchange.team("Stranger")
    body = {"instrument_id": "SPX", "side": "buy", "quantity": 1, "price": 4400.0}
    sent = await exchange.send(
        "POST", "/exchange/orders", key=key, json=body, headers={"X-Request-ID": "my-1"}
    )
    found = (await exchange.send("GET", "/exchange/requests/my-1", key=key)).json()["data"]
    assert (found["status"], found["http_status"]) == ("completed", 200)
    assert found["order_id"] == sent.json()["order_id"]
    assert found["processing_time_us"] >= 0
    missing = await exchange.send("GET", "/exchange/requests/my-1", key=stranger)
    assert _error(missing) == (404, Code.UNKNOWN_REQUEST)


async def test_timeout_names_the_stage_and_what_is_known() -> None:
    """While the journal writes nobody knows whether the order is accepted, so the 504 does not say."""
    responses = CoordinationConfig(default_timeout_seconds=0.2)
    async with http_exchange(responses=responses) as exchange:
        key = await exchange.team()
        with exchange.journal.held():
            answer = await exchange.order(key, client_order_id="mine")
        assert _error(answer) == (504, Code.RESPONSE_TIMEOUT)
        assert answer.json()["error"]["details"] == {"stage": "validation"}
        again = await exchange.order(key, client_order_id="mine")
        assert again.json()["data"]["duplicate"] is True


async def test_request_under_way_does_not_name_its_order_before_it_is_durable(exchange: HttpExchange) -> None:
    """What a crash could undo is told to nobody."""
    key = await exchange.team()
    body = {"instrument_id": "SPX", "side": "buy", "quantity": 1, "price": 4400.0}
    path, named = "/exchange/requests/my-1", {"X-Request-ID": "my-1"}
    with exchange.journal.held() as reached:
        order = asyncio.create_task(
            exchange.send("POST", "/exchange/orders", key=key, json=body, headers=named)
        )
        await reached.wait()
        found = (await exchange.send("GET", path, key=key)).json()["data"]
        assert found.keys() == {"request_id", "status", "registered_at"}
        assert found["status"] == "validating"
    order_id = (await order).json()["order_id"]
    assert (await exchange.send("GET", path, key=key)).json()["data"]["order_id"] == order_id


async def test_overload_is_refused_at_once() -> None:
    """More requests than may wait: 503 with Retry-After, and the others are answered."""
    responses = CoordinationConfig(max_pending_requests=3)
    async with http_exchange(responses=responses) as exchange:
        key = await exchange.team(role="arbitrage")
        answers = await asyncio.gather(*(exchange.order(key, quantity=n + 1) for n in range(5)))
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [200, 200, 200, 503, 503]
        refused = [answer for answer in answers if answer.status_code == 503]
        assert {_error(answer) for answer in refused} == {(503, Code.OVERLOADED)}
        assert {answer.headers["retry-after"] for answer in refused} == {"1"}


async def test_halted_by_failure_refuses_orders_and_marks_reads() -> None:
    """After the venue failed commands are 503, reads go on and say that they are stale."""
    async with http_exchange() as exchange:
        key = await exchange.team()
        exchange.exchange.health.halt("a bug")
        assert _error(await exchange.order(key)) == (503, Code.VENUE_HALTED)
        dry = await exchange.send(
            "POST",
            "/exchange/orders/validate",
            key=key,
            json={"instrument_id": "SPX", "side": "buy", "quantity": 1},
        )
        assert _error(dry) == (503, Code.VENUE_HALTED)
        for path in ("/exchange/orderbook/SPX", "/positions"):
            assert (await exchange.send("GET", path, key=key)).json()["data"]["stale"] is True
        assert (await exchange.send("GET", "/game/status")).json()["data"]["halted_by_failure"] is True
        assert (await exchange.send("GET", "/health/live")).status_code == 200
        assert _error(await exchange.send("GET", "/health/ready")) == (503, Code.VENUE_HALTED)
        status = await exchange.send("GET", "/admin/status", key=ADMIN_KEY)
        assert (status.json()["data"]["state"], status.json()["data"]["cause"]) == ("halted", "a bug")


async def test_orders_need_a_teams_key(exchange: HttpExchange) -> None:
    """No key is 401, the operator's is 403."""
    body = {"instrument_id": "SPX", "side": "buy", "quantity": 1}
    for path in ("/exchange/orders", "/exchange/orders/validate"):
        assert _error(await exchange.send("POST", path, json=body)) == (401, Code.UNAUTHENTICATED)
        assert _error(await exchange.send("POST", path, key=ADMIN_KEY, json=body)) == (403, Code.FORBIDDEN)


async def test_game_of_another_tick_keeps_its_prices_exact() -> None:
    """A tick of 0.005 goes in and comes out as it was sent."""
    async with http_exchange(game=GameConfig(preset="flow")) as exchange:
        key = await exchange.team(role="player")
        answer = await exchange.order(key, "settlement", instrument_id="FLOW", price=167.515)
        assert answer.json()["data"]["price"] == 167.515
        book = (await exchange.send("GET", "/exchange/orderbook/FLOW")).json()["data"]
        assert book["bids"] == [[167.515, 1]]

"""Values at the edges and bodies beyond them: each refused with its code, and the state stays as it was."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from exchange.api.routes.table import OPERATIONS
from tests.support.http_exchange import ADMIN_KEY, HttpExchange, http_exchange

DEEP = 20_000
ORDER = {"instrument_id": '"SPX"', "side": '"buy"', "quantity": "1", "price": "4400"}


@pytest.fixture
async def exchange() -> AsyncIterator[HttpExchange]:
    """A running exchange."""
    async with http_exchange() as running:
        yield running


def _body(**fields: str | None) -> str:
    """An order as JSON text, number literals as given; None leaves a field out."""
    parts = (f'"{name}":{text}' for name, text in (ORDER | fields).items() if text is not None)
    return "{" + ",".join(parts) + "}"


async def _code(exchange: HttpExchange, key: str, body: str | bytes, path: str = "/exchange/orders") -> str:
    answer = await exchange.send(
        "POST", path, key=key, content=body, headers={"Content-Type": "application/json"}
    )
    assert "server-timing" in answer.headers
    envelope = answer.json()
    assert answer.status_code == 200 or envelope["success"] is False
    return "ok" if answer.status_code == 200 else str(envelope["error"]["code"])


async def _check_refused(exchange: HttpExchange, body: str | bytes, expected: str) -> None:
    """As an order and as a dry run, and nothing has changed afterwards."""
    key = await exchange.team(role="market_maker")
    before = exchange.exchange.core.state_hash()
    for path in ("/exchange/orders", "/exchange/orders/validate"):
        assert await _code(exchange, key, body, path) == expected
    assert exchange.exchange.core.state_hash() == before


@pytest.mark.parametrize(
    ("quantity", "expected"),
    [
        *((text, "INVALID_REQUEST") for text in ("0", "-1", "-0", "1.0", "1.5", "1e0", "1e18", "1e400")),
        *((text, "INVALID_REQUEST") for text in ("true", '"5"', "null", "[]", "{}")),
        *((text, "INVALID_REQUEST") for text in ("1000001", str(2**63), "1" + "0" * 400)),
        ("1000000", "ORDER_SIZE_OUT_OF_RANGE"),
        *((text, "BAD_JSON") for text in ("01", "+1", "NaN", "Infinity", "", "1_000", "\u0661")),
    ],
)
async def test_quantity_is_a_whole_number_in_bounds(
    exchange: HttpExchange, quantity: str, expected: str
) -> None:
    """No zero, sign, fraction, exponent, text, or more than the exchange can count."""
    await _check_refused(exchange, _body(quantity=quantity), expected)


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        *(
            (text, "INVALID_REQUEST")
            for text in ("0", "-0.0", "-1", "1e308", "1e400", "1E-400", "1000000001")
        ),
        *((text, "INVALID_REQUEST") for text in ('"4400"', "true", "[]", "{}")),
        *((text, "BAD_JSON") for text in ("NaN", "Infinity", "-Infinity", ".5", "5.")),
        *((text, "PRICE_NOT_ON_TICK") for text in ("4400.005", "4400.00000002", "0.001")),
        *((text, "PRICE_OUT_OF_RANGE") for text in ("1e-320", "1e-9", "1e9")),
        ("0.01", "PRICE_OUT_OF_BAND"),
    ],
)
async def test_price_is_a_positive_number_on_the_grid(
    exchange: HttpExchange, price: str, expected: str
) -> None:
    """No zero of either sign, no infinity however written, nothing between ticks or that rounds to 0."""
    await _check_refused(exchange, _body(price=price), expected)


@pytest.mark.parametrize(
    ("expires_at", "expected"),
    [
        *(
            (text, "EXPIRES_AT_OUT_OF_RANGE")
            for text in (
                '"0001-01-01T00:00:00Z"',
                '"1969-12-31T23:59:59.999999Z"',
                '"9999-12-31T23:59:59.999999Z"',
                '"0001-01-01T00:00:00+23:59"',
                '"9999-12-31T23:59:59-23:59"',
            )
        ),
        *(
            (text, "INVALID_REQUEST")
            for text in (
                '"0000-01-01T00:00:00Z"',
                '"10000-01-01T00:00:00Z"',
                '"2090-02-30T00:00:00Z"',
                '"2090-01-01T24:00:00Z"',
                '"2090-01-01T00:00:00"',
                '"2090-01-01"',
                '"now"',
                '""',
                "4102444800",
                "true",
                "[]",
            )
        ),
    ],
)
async def test_expiry_is_a_time_that_the_calendar_has(
    exchange: HttpExchange, expires_at: str, expected: str
) -> None:
    """With an offset, and within what a clock can show."""
    await _check_refused(exchange, _body(expires_at=expires_at, time_in_force='"gtd"'), expected)


@pytest.mark.parametrize(
    ("stop_price", "expected"),
    [
        *((text, "INVALID_REQUEST") for text in ("0", "-1", "1e400", '"4400"', "1000000001")),
        *((text, "PRICE_NOT_ON_TICK") for text in ("4400.005", "0.001")),
        *((text, "PRICE_OUT_OF_RANGE") for text in ("1e-320", "1e-9", "1e9")),
    ],
)
async def test_stop_price_is_held_to_what_a_price_is(
    exchange: HttpExchange, stop_price: str, expected: str
) -> None:
    """All but the band, which is about what may trade now."""
    await _check_refused(exchange, _body(stop_price=stop_price), expected)


@pytest.mark.parametrize(
    "price", ["4400.0000000001", "4400.009999999999", "4.4e3", "4400.0" + "0" * 5_000], ids=range(4)
)
async def test_price_that_only_float_rounding_moves_off_the_grid_is_taken(
    exchange: HttpExchange, price: str
) -> None:
    """What a client's arithmetic makes of a price on the grid is that price."""
    key = await exchange.team()
    assert await _code(exchange, key, _body(price=price)) == "ok"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", "BAD_JSON"),
        ("   ", "BAD_JSON"),
        ("{", "BAD_JSON"),
        (_body() + "x", "BAD_JSON"),
        (_body() + _body(), "BAD_JSON"),
        ("\ufeff" + _body(), "BAD_JSON"),
        (_body().encode("utf-16"), "BAD_JSON"),
        (b'{"instrument_id":"\xff"}', "BAD_JSON"),
        (_body(instrument_id='"\\ud800"'), "BAD_JSON"),
        ("null", "INVALID_REQUEST"),
        ("[" + _body() + "]", "INVALID_REQUEST"),
        ("{}", "INVALID_REQUEST"),
        (_body(colour='"red"'), "INVALID_REQUEST"),
        (_body(__class__='"x"'), "INVALID_REQUEST"),
        (_body(instrument_id='"SPX\\u0000"'), "INVALID_REQUEST"),
        (_body(instrument_id='"SPX\\n"'), "INVALID_REQUEST"),
        (_body(instrument_id='"' + "A" * 60_000 + '"'), "INVALID_REQUEST"),
        (_body(instrument_id='"spx"'), "UNKNOWN_INSTRUMENT"),
        (_body(side='"BUY"'), "INVALID_REQUEST"),
        (_body(client_order_id='"' + "x" * 37 + '"'), "INVALID_REQUEST"),
        (_body(client_order_id='"a b"'), "INVALID_REQUEST"),
        (_body(client_order_id='"a\\n"'), "INVALID_REQUEST"),
        (_body(client_order_id='""'), "INVALID_REQUEST"),
        ("[" * DEEP + "]" * DEEP, "INVALID_REQUEST"),
        (_body(x="[" * DEEP + "]" * DEEP), "INVALID_REQUEST"),
        (_body(side="[" * DEEP + "]" * DEEP), "INVALID_REQUEST"),
        ("x" * 70_000, "BODY_TOO_LARGE"),
    ],
    ids=lambda value: repr(value)[:40],
)
async def test_body_that_is_no_order_is_refused(
    exchange: HttpExchange, body: str | bytes, expected: str
) -> None:
    """Not JSON, not an object, not these fields, too deep, too long."""
    await _check_refused(exchange, body, expected)


async def test_field_given_twice_counts_as_given_last(exchange: HttpExchange) -> None:
    """JSON leaves it open; here the last one counts, for the order and for whether a resend is the same."""
    key = await exchange.team()
    twice = '{"quantity":5,' + _body(quantity="2", client_order_id='"mine"')[1:]
    assert await _code(exchange, key, twice) == "ok"
    again = await exchange.order(key, quantity=2, client_order_id="mine")
    assert again.json()["data"]["quantity"] == 2


async def _every_answer(exchange: HttpExchange, method: str, suffix: str = "") -> dict[str, int]:
    key = await exchange.team()
    paths = {
        operation.path.format(
            order_id="ORD_1",
            instrument_id="SPX",
            team_id="TEAM_1",
            request_id="r",
            name="docs.js",
            quote_group="g",
        )
        for operation in OPERATIONS
    }
    statuses = {}
    for path in sorted(paths):
        answer = await exchange.send(method, path + suffix, key=key)
        assert "server-timing" in answer.headers
        assert "x-request-id" in answer.headers
        statuses[path] = answer.status_code
    return statuses


async def test_options_and_unknown_methods_are_answered_on_every_path(exchange: HttpExchange) -> None:
    """OPTIONS says what there is, anything else 405 with Allow, and neither needs a key."""
    assert set((await _every_answer(exchange, "OPTIONS")).values()) == {200}
    answer = await exchange.send("PUT", "/exchange/orders")
    assert answer.status_code == 405
    assert answer.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, POST"


@pytest.mark.parametrize("suffix", ["/", "//", "%2f", "%00", "/x/y/z"])
async def test_path_beside_one_is_unknown(exchange: HttpExchange, suffix: str) -> None:
    """A slash too many is another path: 404, never a redirect, never a neighbour's answer."""
    statuses = await _every_answer(exchange, "GET", suffix)
    # A group of quotes need not exist to be asked for: its name is right or wrong.
    assert statuses.pop("/exchange/quotes/protection/g") in (400, 404)
    assert set(statuses.values()) <= {404, 403}, statuses


async def test_head_answers_as_get_without_its_body(exchange: HttpExchange) -> None:
    """Same status and headers, no body; on a path without GET it is 405."""
    key = await exchange.team()
    for path in ("/exchange/orders", "/exchange/orderbook/SPX", "/health/live", "/metrics", "/nothing"):
        got, head = [await exchange.send(method, path, key=key) for method in ("GET", "HEAD")]
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers["content-type"] == got.headers["content-type"]
    assert (await exchange.send("HEAD", "/game/teams/register")).status_code == 405


@pytest.mark.parametrize(
    "reason", ['"\\ud83d"', '"\\u0000"', '""', "null", "5", '"' + "x" * 201 + '"'], ids=range(6)
)
async def test_operators_words_are_checked_too(exchange: HttpExchange, reason: str) -> None:
    """A typo at night is refused like anybody's, and whatever passes can be journaled and replayed."""
    await exchange.team()
    answer = await exchange.send(
        "POST",
        "/admin/teams/TEAM_1/disable",
        key=ADMIN_KEY,
        content=f'{{"reason":{reason}}}',
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code in (200, 400)
    disabled = (await exchange.send("GET", "/game/teams/TEAM_1")).json()["data"].get("disabled", False)
    assert disabled is (answer.status_code == 200)

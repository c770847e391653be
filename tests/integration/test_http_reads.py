"""Market data, positions, the game and the operator's acts over HTTP, on a whole exchange."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from exchange.config import GameConfig
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


async def _data(
    exchange: HttpExchange, path: str, key: str | None = None, method: str = "GET", **body: Any
) -> Any:
    answer = await exchange.send(method, path, key=key, **({"json": body} if body else {}))
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def _trade(exchange: HttpExchange, price: float = 4400.0, quantity: int = 1) -> tuple[str, str]:
    """One trade in SPX; the keys of buyer (resting) and seller."""
    buyer, seller = await exchange.team("Buyer"), await exchange.team("Seller", "market_maker")
    await exchange.order(buyer, price=price, quantity=quantity)
    await exchange.order(seller, "settlement", side="sell", price=price, quantity=quantity)
    return buyer, seller


STATUS = "/admin/status?state_hash=true"


# --- market ---------------------------------------------------------------------------------------------


async def test_instruments_are_listed_with_reference_and_band(exchange: HttpExchange) -> None:
    """Everything a bot needs to price an order, and after a trade the new reference."""
    await _trade(exchange, 4410.5)
    instruments = {
        row["instrument_id"]: row for row in (await _data(exchange, "/exchange/instruments"))["instruments"]
    }
    assert len(instruments) == 22
    assert instruments["SPX"] == {
        "instrument_id": "SPX",
        "kind": "index",
        "tick_size": 0.01,
        "multiplier": 100,
        "reference_price": 4410.5,
        "low_band": 3528.4,
        "high_band": 5292.6,
    }
    option = instruments["SPX_PUT_4400_20240315"]
    assert (option["underlying_id"], option["option_kind"], option["strike"]) == ("SPX", "put", 4400.0)
    assert option["expiry"] == "2024-03-15"


async def test_orderbook_shows_levels_best_first(exchange: HttpExchange) -> None:
    """Orders of one price are one level; ``depth`` cuts each side."""
    key = await exchange.team(role="market_maker")
    for price, side in (
        (4399.0, "buy"),
        (4400.0, "buy"),
        (4400.0, "buy"),
        (4402.0, "sell"),
        (4401.0, "sell"),
    ):
        await exchange.order(key, "settlement", price=price, side=side)
    book = await _data(exchange, "/exchange/orderbook/SPX")
    assert book["bids"] == [[4400.0, 2], [4399.0, 1]]
    assert book["asks"] == [[4401.0, 1], [4402.0, 1]]
    assert "stale" not in book
    top = await _data(exchange, "/exchange/orderbook/SPX?depth=1")
    assert (top["bids"], top["asks"]) == ([[4400.0, 2]], [[4401.0, 1]])


@pytest.mark.parametrize(
    "path", ["/exchange/orderbook/NOPE", "/exchange/trades/NOPE", "/exchange/orderbook/SPX%0A"]
)
async def test_unknown_instrument_is_404(exchange: HttpExchange, path: str) -> None:
    """A book nobody keeps is unknown, not empty."""
    assert _error(await exchange.send("GET", path)) == (404, Code.UNKNOWN_INSTRUMENT)


# --- positions ------------------------------------------------------------------------------------------


async def test_positions_are_a_map_with_cash_and_profit(exchange: HttpExchange) -> None:
    """Money received is positive; equity is cash plus fees plus the value of what is open."""
    buyer, seller = await _trade(exchange, 4400.0, 2)
    quoter = await exchange.team("Quoter", "market_maker")
    await exchange.order(quoter, price=4405.0)
    await exchange.order(quoter, "settlement", price=4415.0, side="sell", instrument_id="SPX")
    assert await _data(exchange, "/positions", buyer) == {
        "team_id": "TEAM_1",
        "positions": {"SPX": 2},
        "details": {
            "SPX": {
                "position": 2,
                "average_price": 4400.0,
                "realised_pnl": 0.0,
                "unrealised_pnl": 2_000.0,
                "mark_price": 4410.0,
            }
        },
        "cash": -880_000.0,
        "fees": 0.02,
        "realised_pnl": 0.0,
        "unrealised_pnl": 2_000.0,
        "equity": 2_000.02,
    }
    sold = await _data(exchange, "/positions", seller)
    assert (sold["positions"], sold["cash"], sold["fees"]) == ({"SPX": -2}, 880_000.0, -0.02)
    assert sold["equity"] == -2_000.02


async def test_positions_of_a_closed_instrument_stay_with_their_profit(exchange: HttpExchange) -> None:
    """Flat has no average price, and keeps what was realised."""
    buyer, seller = await _trade(exchange)
    await exchange.order(seller, price=4401.0)
    await exchange.order(buyer, "settlement", side="sell", price=4401.0)
    details = (await _data(exchange, "/positions", buyer))["details"]["SPX"]
    assert details["position"] == 0
    assert "average_price" not in details
    assert details["realised_pnl"] == 100.0


@pytest.mark.parametrize("path", ["/positions/{}", "/positions/{}/limits"])
async def test_positions_are_for_their_team_and_the_operator(exchange: HttpExchange, path: str) -> None:
    """Another team's is 403, whether it exists or not; the operator sees all and learns what is not there."""
    key, _ = await exchange.team(), await exchange.team("Other")
    assert (await _data(exchange, path.format("TEAM_1"), key))["team_id"] == "TEAM_1"
    for stranger in ("TEAM_2", "TEAM_99", "nonsense"):
        assert _error(await exchange.send("GET", path.format(stranger), key=key)) == (403, Code.FORBIDDEN)
    assert (await _data(exchange, path.format("TEAM_2"), ADMIN_KEY))["team_id"] == "TEAM_2"
    unknown = await exchange.send("GET", path.format("TEAM_99"), key=ADMIN_KEY)
    assert _error(unknown) == (404, Code.UNKNOWN_TEAM)
    assert _error(await exchange.send("GET", path.format("TEAM_1"))) == (401, Code.UNAUTHENTICATED)


async def test_limits_count_open_orders_of_the_worse_side(exchange: HttpExchange) -> None:
    """``used`` is what the rule counts: position plus everything open on one side."""
    buyer, _ = await _trade(exchange, quantity=2)
    await exchange.order(buyer, quantity=5, price=4300.0)
    await exchange.order(buyer, "settlement", instrument_id="SPY", side="sell", quantity=30, price=441.0)
    limits = (await _data(exchange, "/positions/TEAM_1/limits", buyer))["limits"]
    used = {(row["type"], row.get("instrument_id")): (row.get("used"), row["limit"]) for row in limits}
    assert used["position_limit", "SPX"] == (7, 200)
    assert used["position_limit", "SPY"] == (30, 200)
    assert used["portfolio_limit", None] == (2, 500)
    assert used["order_size", None] == (None, 500)
    assert used["order_rate", None] == (None, 5)


# --- game -----------------------------------------------------------------------------------------------


async def test_registration_tells_a_key_that_works(exchange: HttpExchange) -> None:
    """The key is told once; afterwards anyone sees the team, nobody its key."""
    registered = await _data(
        exchange, "/game/teams/register", method="POST", name=" Al  pha ", role="arbitrage_desk"
    )
    assert registered.keys() == {"team_id", "name", "role", "api_key"}
    assert (registered["name"], registered["role"]) == ("Al pha", "arbitrage")
    assert (await _data(exchange, "/positions", registered["api_key"]))["team_id"] == registered["team_id"]
    seen = await exchange.send("GET", f"/game/teams/{registered['team_id']}")
    assert seen.json()["data"]["name"] == "Al pha"
    assert registered["api_key"] not in seen.text


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"name": "ALPHA", "role": "hedge_fund"}, (409, Code.TEAM_NAME_TAKEN)),
        ({"name": "Beta", "role": "wizard"}, (400, Code.UNKNOWN_ROLE)),
        ({"name": "Beta", "role": "retail"}, (403, Code.ROLE_NOT_OPEN)),
        ({"name": "", "role": "hedge_fund"}, (400, Code.INVALID_REQUEST)),
        ({"name": "  ", "role": "hedge_fund"}, (400, Code.INVALID_REQUEST)),
        ({"name": "Beta"}, (400, Code.INVALID_REQUEST)),
        ({"name": "Beta", "role": "hedge_fund", "api_key": "mine"}, (400, Code.INVALID_REQUEST)),
    ],
)
async def test_registration_is_refused(
    exchange: HttpExchange, body: dict[str, Any], expected: tuple[int, str]
) -> None:
    """Names are unique whatever their case, roles those of the game that are open."""
    await exchange.team("Alpha")
    assert _error(await exchange.send("POST", "/game/teams/register", json=body)) == expected


@pytest.mark.parametrize("code", [None, "", "wrong", "Sésame", "sesam\u00e9"])
async def test_registration_needs_the_invite_code_where_there_is_one(code: str | None) -> None:
    """Without it, or with another, nobody gets in; with it, anyone."""
    async with http_exchange(game=GameConfig(preset="small", invite_code="sésame")) as exchange:
        body = {"name": "Alpha", "role": "hedge_fund"}
        given = body if code is None else body | {"invite_code": code}
        refused = await exchange.send("POST", "/game/teams/register", json=given)
        assert _error(refused) == (403, Code.INVALID_INVITE_CODE)
        invited = await exchange.send("POST", "/game/teams/register", json=body | {"invite_code": "sésame"})
        assert invited.status_code == 200


async def test_game_status_counts(exchange: HttpExchange) -> None:
    """Preset, phase, counts and the version of the API."""
    await exchange.team()
    status = await _data(exchange, "/game/status")
    assert {**status, "timestamp": "", "sequence": 0} == {
        "preset": "small",
        "phase": "continuous",
        "teams": 1,
        "instruments": 22,
        "sequence": 0,
        "timestamp": "",
        "api_version": "1",
    }


@pytest.mark.parametrize("team_id", ["TEAM_2", "TEAM_0", "TEAM_01", "1", "TEAM_99999999999"])
async def test_unknown_team_is_404(exchange: HttpExchange, team_id: str) -> None:
    """An id that is none is an unknown one; the house is no team."""
    await exchange.team()
    assert _error(await exchange.send("GET", f"/game/teams/{team_id}")) == (404, Code.UNKNOWN_TEAM)


# --- admin ----------------------------------------------------------------------------------------------

ADMIN_ROUTES = [
    ("GET", "/admin/status"),
    ("GET", "/admin/teams"),
    ("POST", "/admin/teams"),
    ("POST", "/admin/teams/TEAM_1/rotate-key"),
    ("POST", "/admin/teams/TEAM_1/disable"),
    ("POST", "/admin/teams/TEAM_1/enable"),
]


@pytest.mark.parametrize(("method", "path"), ADMIN_ROUTES)
async def test_admin_is_for_the_operator(exchange: HttpExchange, method: str, path: str) -> None:
    """No key is 401, a team's is 403, and nothing happens."""
    key = await exchange.team()
    body = {"name": "Beta", "role": "retail"} if path == "/admin/teams" and method == "POST" else None
    before = (await _data(exchange, STATUS, ADMIN_KEY))["state_hash"]
    assert _error(await exchange.send(method, path, json=body)) == (401, Code.UNAUTHENTICATED)
    assert _error(await exchange.send(method, path, key=key, json=body)) == (403, Code.FORBIDDEN)
    assert (await _data(exchange, STATUS, ADMIN_KEY))["state_hash"] == before
    assert (await exchange.send(method, path, key=ADMIN_KEY, json=body)).status_code == 200


async def test_admin_status_shows_the_server_from_within(exchange: HttpExchange) -> None:
    """The state hash, where it is asked for, changes with the state, counts with the requests."""
    before = await _data(exchange, STATUS, ADMIN_KEY)
    await exchange.team()
    after = await _data(exchange, STATUS, ADMIN_KEY)
    assert before["state_hash"] != after["state_hash"]
    assert "state_hash" not in await _data(exchange, "/admin/status", ADMIN_KEY)
    assert after["sequence"] == before["sequence"] + 1
    assert after["responses"]["completed"] == before["responses"]["completed"] + 1
    assert set(after["queues"]) == {"order_queue", "match_queue", "trade_queue", "websocket_queue"}


async def test_operator_registers_any_role(exchange: HttpExchange) -> None:
    """Also one that is not open, and without invite code; it appears in the list of teams."""
    created = await _data(exchange, "/admin/teams", ADMIN_KEY, "POST", name="House flow", role="retail")
    teams = (await _data(exchange, "/admin/teams", ADMIN_KEY))["teams"]
    assert [(team["team_id"], team["role"]) for team in teams] == [(created["team_id"], "retail")]
    assert (await exchange.send("GET", "/positions", key=created["api_key"])).status_code == 200


async def test_rotated_key_is_void_at_once(exchange: HttpExchange) -> None:
    """The new key works, the old one does not, also where it was used a moment ago."""
    old = await exchange.team()
    assert (await exchange.send("GET", "/positions", key=old)).status_code == 200
    new = (await _data(exchange, "/admin/teams/TEAM_1/rotate-key", ADMIN_KEY, "POST"))["api_key"]
    assert _error(await exchange.send("GET", "/positions", key=old)) == (401, Code.UNAUTHENTICATED)
    assert (await exchange.send("GET", "/positions", key=new)).status_code == 200


async def test_disabled_team_reads_and_does_not_trade(exchange: HttpExchange) -> None:
    """Its orders are cancelled, new ones are 403; enabled it trades again."""
    key = await exchange.team()
    order_id = (await exchange.order(key)).json()["order_id"]
    disabled = await _data(exchange, "/admin/teams/TEAM_1/disable", ADMIN_KEY, "POST", reason="runaway bot")
    assert disabled["disabled"] is True
    assert _error(await exchange.order(key)) == (403, Code.TEAM_DISABLED)
    order = await _data(exchange, f"/exchange/orders/{order_id}", key)
    assert (order["status"], order["cancel_reason"]) == ("cancelled", "team_disabled")
    enabled = await _data(exchange, "/admin/teams/TEAM_1/enable", ADMIN_KEY, "POST")
    assert "disabled" not in enabled
    assert (await exchange.order(key)).status_code == 200


@pytest.mark.parametrize("act", ["rotate-key", "disable", "enable"])
async def test_act_on_an_unknown_team_is_404(exchange: HttpExchange, act: str) -> None:
    """There is nobody to act on."""
    answer = await exchange.send("POST", f"/admin/teams/TEAM_7/{act}", key=ADMIN_KEY)
    assert _error(answer) == (404, Code.UNKNOWN_TEAM)


# --- server ---------------------------------------------------------------------------------------------


async def test_health_is_ready_while_running_and_not_while_draining(exchange: HttpExchange) -> None:
    """Draining is alive but takes nothing new."""
    for path in ("/health/live", "/health/ready"):
        assert await _data(exchange, path) == {"status": "ok"}
    exchange.exchange.health.drain()
    assert (await _data(exchange, "/health/live"))["status"] == "draining"
    assert _error(await exchange.send("GET", "/health/ready")) == (503, Code.SHUTTING_DOWN)


async def test_health_is_not_alive_once_the_journal_failed(exchange: HttpExchange) -> None:
    """Only a restart helps then."""
    exchange.exchange.health.fail("disk")
    assert _error(await exchange.send("GET", "/health/live")) == (503, Code.JOURNAL_FAILED)


async def test_metrics_count_answers(exchange: HttpExchange) -> None:
    """Prometheus reads text, with the answers by operation and status."""
    await exchange.team()
    answer = await exchange.send("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'exchange_http_answers_total{operation="register_team",status="200"} 1.0' in answer.text


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/docs.css", "text/css; charset=utf-8"),
        ("/docs/docs.js", "text/javascript; charset=utf-8"),
        ("/openapi.json", "application/json"),
        ("/asyncapi.json", "application/json"),
    ],
)
async def test_documentation_needs_nothing_from_elsewhere(
    exchange: HttpExchange, path: str, media_type: str
) -> None:
    """Every page comes from the server itself and names no other host."""
    answer = await exchange.send("GET", path)
    assert answer.headers["content-type"] == media_type
    assert "http://" not in answer.text
    assert "https://" not in answer.text

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from websockets.exceptions import InvalidStatus

from tests.support.ws_exchange import ADMIN_KEY, WsExchange, ws_exchange


@pytest.fixture
async def exchange() -> AsyncIterator[WsExchange]:
    """A running exchange."""
    async with ws_exchange() as running:
        yield running


async def test_ws_hello_names_the_team_of_the_key(exchange: WsExchange) -> None:
    """The key may come as X-API-Key or as Bearer; without one the socket is a stranger's."""
    key = await exchange.team()
    for header in (("X-API-Key", key), ("Authorization", f"Bearer {key}")):
        socket, hello = await exchange.socket(headers=[header])
        async with socket:
            assert (hello["type"], hello["authenticated"]) == ("hello", True)
            assert (hello["team_id"], hello["private_seq"], hello["api_version"]) == ("TEAM_1", 0, "1")
    socket, hello = await exchange.socket()
    async with socket:
        assert hello["authenticated"] is False
        assert "team_id" not in hello


async def test_ws_wrong_key_is_refused_in_the_handshake(exchange: WsExchange) -> None:
    """401 with the envelope, in place of a socket."""
    with pytest.raises(InvalidStatus) as refused:
        await exchange.connect("wrong")
    response = refused.value.response
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.headers["Content-Type"] == "application/json"
    assert b'"code":"UNAUTHENTICATED"' in (response.body or b"")


async def test_ws_key_given_twice_is_refused(exchange: WsExchange) -> None:
    """Nobody can tell which of two keys counts."""
    key = await exchange.team()
    with pytest.raises(InvalidStatus) as refused:
        await exchange.connect(headers=[("X-API-Key", key), ("X-API-Key", key)])
    assert refused.value.response.status_code == 400


async def test_ws_operator_is_no_team(exchange: WsExchange) -> None:
    """The operator's key opens a socket that belongs to no team."""
    socket, hello = await exchange.socket(ADMIN_KEY)
    async with socket:
        assert hello["authenticated"] is True
        assert "team_id" not in hello
        assert (await socket.ask("positions.get"))["status"] == 403


async def test_ws_login_in_the_first_message(exchange: WsExchange) -> None:
    """A client that cannot set headers logs in on the socket, then trades as any other."""
    key = await exchange.team()
    socket, _ = await exchange.socket()
    async with socket:
        assert (await socket.ask("positions.get"))["error"]["code"] == "UNAUTHENTICATED"
        assert await socket.result("login", api_key=key) == {"team_id": "TEAM_1", "private_seq": 0}
        assert (await socket.result("positions.get"))["team_id"] == "TEAM_1"


async def test_ws_subprotocol_chooses_the_encoding(exchange: WsExchange) -> None:
    """JSON in text frames by default, MessagePack in binary ones when asked for; the content is the same."""
    key = await exchange.team()
    packed, hello = await exchange.socket(key, subprotocol="exchange.msgpack")
    async with packed:
        assert packed.connection.subprotocol == "exchange.msgpack"
        assert hello["team_id"] == "TEAM_1"
        await packed.result("subscribe", channels=["private"])
        order = {"instrument_id": "SPX", "side": "buy", "quantity": 2, "price": 4400.0}
        result = await packed.result("order.new", **order)
        ack = (await packed.until(2))[-1]
        assert (ack["order_id"], ack["price"], ack["side"]) == (result["order_id"], 4400.0, "buy")
    plain, _ = await exchange.socket(key, subprotocol="exchange.json")
    async with plain:
        assert plain.connection.subprotocol == "exchange.json"
        assert "timestamp" in await plain.result("ping")


async def test_ws_other_paths_are_not_sockets(exchange: WsExchange) -> None:
    """There is one WebSocket path."""
    with pytest.raises(InvalidStatus) as refused:
        await exchange.connect(path="/exchange/orders")
    assert refused.value.response.status_code == 403


async def test_ws_replaced_key_ends_its_sockets(exchange: WsExchange) -> None:
    """Rotating a team's key closes the sockets that hold the old one with 4003."""
    key = await exchange.team()
    socket, _ = await exchange.socket(key)
    rotated = await exchange.send("POST", "/admin/teams/TEAM_1/rotate-key", ADMIN_KEY)
    assert rotated.status_code == 200, rotated.text
    await socket.connection.wait_closed()
    assert socket.connection.close_code == 4003
    socket, _ = await exchange.socket(rotated.json()["data"]["api_key"])
    async with socket:
        assert "timestamp" in await socket.result("ping")

from __future__ import annotations

from exchange.base.bounds import CONNECTION_BUFFER_MESSAGES
from tests.support.ws_exchange import Socket, on_uvloop, ws_exchange

BUY = {"instrument_id": "FLOW", "side": "buy", "quantity": 1, "price": 100.0}
ROUND = 200


async def _trade(trader: Socket, orders: int) -> None:
    """Enter and cancel: two private events each."""
    for start in range(0, orders, 50):
        requests = [await trader.begin("order.new", **BUY) for _ in range(start, min(start + 50, orders))]
        for request in requests:
            answer = await trader.answer(request)
            assert "result" in answer, answer
        await trader.result("orders.cancel_all")


@on_uvloop
async def test_ws_slow_reader_is_closed_and_nobody_else_notices() -> None:
    """A socket that stops reading is closed with 4008; the others get everything, and it can resume."""
    async with ws_exchange("flow", send_buffer=4_096) as exchange:
        key = await exchange.team("Alpha", "player")
        trader, _ = await exchange.socket(key)
        reader, _ = await exchange.socket(key)
        slow, _ = await exchange.socket(key, max_queue=1)
        for socket in (reader, slow):
            await socket.result("subscribe", channels=["private"], resume_from={"private": 0})
        rounds = 0
        while exchange.metric("sockets_too_slow") == 0:
            await _trade(trader, ROUND)
            rounds += 1
            # Buffers are small here, and its client shares the loop: it keeps up from round to round.
            await reader.until(rounds * ROUND * 2)
            assert rounds < 50, "the buffers of this machine hold more than this test writes"
        await _trade(trader, ROUND)
        rounds += 1
        total = rounds * ROUND * 2
        assert [event["seq"] for event in await reader.until(total)] == list(range(1, total + 1))
        assert exchange.metric("sockets_too_slow") == 1

        assert await slow.until_closed() == 4008
        got = [event["seq"] for event in slow.events]
        assert got == list(range(1, len(got) + 1))
        assert len(got) < total

        again, _ = await exchange.socket(key)
        answer = await again.result("subscribe", channels=["private"], resume_from={"private": got[-1]})
        assert answer["channels"] == [{"channel": "private", "seq": total, "resumed": True}]
        got += [event["seq"] for event in await again.until(total - len(got))]
        assert got == list(range(1, total + 1))
        for socket in (trader, reader, again):
            await socket.connection.close()


@on_uvloop
async def test_ws_long_backlog_goes_out_as_it_is_read() -> None:
    """More than a buffer holds can be resumed: it goes out at the pace of the client, then live, in order."""
    async with ws_exchange("flow") as exchange:
        key = await exchange.team("Alpha", "player")
        trader, _ = await exchange.socket(key)
        orders = 2 * CONNECTION_BUFFER_MESSAGES
        await _trade(trader, orders)
        late, _ = await exchange.socket(key, max_queue=1)
        await late.result("subscribe", channels=["private"], resume_from={"private": 0})
        await _trade(trader, 50)
        total = 2 * orders + 100
        assert [event["seq"] for event in await late.until(total)] == list(range(1, total + 1))
        assert exchange.metric("sockets_too_slow") == 0
        for socket in (trader, late):
            await socket.connection.close()


@on_uvloop
async def test_ws_client_that_vanishes_is_counted() -> None:
    """A connection that breaks while it is told something is counted and forgotten; the others go on."""
    async with ws_exchange("flow") as exchange:
        key = await exchange.team("Alpha", "player")
        trader, _ = await exchange.socket(key)
        gone, _ = await exchange.socket(key, max_queue=1)
        await gone.result("subscribe", channels=["private"])
        await _trade(trader, 100)
        gone.connection.transport.abort()
        await _trade(trader, 100)
        while not exchange.counter.statistics().client_gone:
            await trader.result("ping")
        assert exchange.metric("sockets") == 1
        await trader.connection.close()


@on_uvloop
async def test_ws_cancel_of_everything_closes_nobody() -> None:
    """One command that tells a team more than a buffer holds does not close a socket that kept up."""
    async with ws_exchange("flow") as exchange:
        key = await exchange.team("Alpha", "player")
        trader, _ = await exchange.socket(key)
        await trader.result("subscribe", channels=["private"])
        orders = CONNECTION_BUFFER_MESSAGES + 200
        for start in range(0, orders, 50):
            requests = [await trader.begin("order.new", **BUY) for _ in range(start, start + 50)]
            for request in requests:
                assert "result" in await trader.answer(request)
        await trader.result("orders.cancel_all")
        events = await trader.until(1 + 2 * orders)
        assert [event["type"] for event in events[-orders:]] == ["order_cancelled"] * orders
        assert exchange.metric("sockets_too_slow") == 0
        await trader.connection.close()

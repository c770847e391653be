"""The SDK against the exchange itself: the same calls over HTTP, over one socket and in process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from exchange.base.entropy import SeededEntropy
from exchange.client import (
    Backoff,
    BookUpdate,
    ClientEvent,
    EventStream,
    ExchangeClient,
    ExecutionReport,
    Forbidden,
    HttpTransport,
    InProcessTransport,
    LinkSettings,
    NewOrderAck,
    NotFound,
    OperatorClient,
    OrderAmended,
    OrderCancelled,
    OrderFilter,
    OrderReceipt,
    OrderRequest,
    OrderStatus,
    OrderTriggered,
    PhaseChange,
    PositionSnapshot,
    PositionUpdate,
    PostOnly,
    RateLimited,
    Reconnected,
    Rejected,
    Retries,
    ServerStopping,
    Side,
    TimeInForce,
    TradeEvent,
    Transport,
    Unauthenticated,
    WaitFor,
    WebSocketTransport,
    register,
)
from exchange.client.transport import HttpAnswer, Socket, SocketClosed
from exchange.wire.events import Event
from tests.support.ws_exchange import ADMIN_KEY, WsExchange, ws_exchange
from tests.unit.client.fake_exchange import CuttingTransport

AT_ONCE = Backoff(first_s=0.0, max_s=0.0)
TRANSPORTS = ["http", "ws", "in-process http", "in-process ws"]


def transport_to(running: WsExchange, kind: str, api_key: str | None) -> Transport:
    """A way to the running exchange."""
    url = f"http://127.0.0.1:{running.port}"
    match kind:
        case "http":
            return HttpTransport(url, api_key)
        case "ws":
            return WebSocketTransport(url, api_key)
        case _:
            return InProcessTransport(running.exchange.api, api_key, prefers_socket=kind.endswith("ws"))


def client_over(transport: Transport, seed: int = 1) -> ExchangeClient:
    """A client that tries again at once."""
    return ExchangeClient(
        transport,
        entropy=SeededEntropy(seed),
        retries=Retries(backoff=AT_ONCE),
        link=LinkSettings(backoff=AT_ONCE),
    )


@asynccontextmanager
async def two_clients(kind: str) -> AsyncIterator[tuple[WsExchange, ExchangeClient, ExchangeClient]]:
    """A market maker and a hedge fund on one exchange."""
    async with ws_exchange() as running:
        maker = await register(transport_to(running, "in-process http", None), "Maker", "market_maker")
        fund = await register(transport_to(running, "in-process http", None), "Fund", "hedge_fund")
        async with (
            client_over(transport_to(running, kind, maker.api_key), 1) as first,
            client_over(transport_to(running, kind, fund.api_key), 2) as second,
        ):
            yield running, first, second


async def read_until(stream: EventStream, done: Callable[[list[ClientEvent]], bool]) -> list[ClientEvent]:
    """Events until ``done`` says so of all of them."""
    events: list[ClientEvent] = []
    async with asyncio.timeout(20):
        while not done(events):
            events.append(await anext(stream))
    return events


def numbers(events: list[ClientEvent], *kinds: type[Event]) -> list[int]:
    """Sequences of the events of these kinds."""
    return [event.seq for event in events if isinstance(event, kinds)]


def count(kind: type[ClientEvent], number: int) -> Callable[[list[ClientEvent]], bool]:
    """Whether ``number`` events of ``kind`` have come."""
    return lambda events: sum(isinstance(event, kind) for event in events) >= number


@pytest.mark.parametrize("kind", TRANSPORTS)
async def test_trade_is_told_to_both_sides(kind: str) -> None:
    """From order to fill: answers, events, account, book and queries agree."""
    async with two_clients(kind) as (_, maker, fund):
        stream = maker.events("private", "book.SPX", "trades.SPX", "phase")
        await stream.open()
        resting = await maker.sell("SPX", 5, price=4400.0)
        assert [order.order_id for order in maker.account.open_orders("SPX")] == [resting.order_id]
        taken = await fund.buy("SPX", 2, wait=WaitFor.SETTLEMENT)
        assert (taken.status, taken.filled_quantity) == (OrderStatus.FILLED, 2)
        events = await read_until(
            stream,
            lambda events: (
                all(count(kind, 1)(events) for kind in (PositionUpdate, TradeEvent, PhaseChange))
                and count(BookUpdate, 2)(events)
            ),
        )
        assert [type(event) for event in events if getattr(event, "channel", None) is None] == [
            PositionSnapshot,
            NewOrderAck,
            ExecutionReport,
            PositionUpdate,
        ]
        assert (maker.account.position("SPX"), maker.account.cash) == (-2, 880_000.0)
        book = maker.live_book("SPX")
        assert book is not None
        assert [(level.price, level.quantity) for level in book.asks()] == [(4400.0, 3)]
        assert (await fund.book("SPX")).asks == [(4400.0, 3)]
        assert (await fund.positions()).positions == {"SPX": 2}
        assert [trade.quantity for trade in (await fund.trades("SPX")).trades] == [2]
        assert [fill.order_id for fill in (await fund.executions()).executions] == [taken.order_id]


@pytest.mark.parametrize("kind", TRANSPORTS)
async def test_order_is_amended_and_cancelled(kind: str) -> None:
    """By either id; what has ended cannot be cancelled again."""
    async with two_clients(kind) as (_, maker, _):
        placed = await maker.buy("SPX", 5, price=4300.0, client_order_id="mine")
        amended = await maker.amend(client_order_id="mine", quantity=7, price=4301.0)
        assert amended.state is not None
        assert (amended.order_id, amended.state.quantity, amended.state.price) == (placed.order_id, 7, 4301.0)
        assert [order.quantity for order in await maker.open_orders()] == [7]
        cancelled = await maker.cancel(placed.order_id)
        assert cancelled.status is OrderStatus.CANCELLED
        for name in ({"order_id": placed.order_id}, {"client_order_id": "mine"}):
            with pytest.raises(NotFound, match="CANCEL_FAILED"):
                await maker.cancel(**name)
        with pytest.raises(NotFound, match="AMEND_FAILED"):
            await maker.amend(placed.order_id, price=4302.0)
        assert (await maker.get_order(client_order_id="mine")).status is OrderStatus.CANCELLED
        assert [each.order_id for each in (await maker.orders(OrderFilter.FINISHED)).orders] == [
            placed.order_id
        ]


@pytest.mark.parametrize("kind", TRANSPORTS)
async def test_refusals_are_typed_and_carry_their_figures(kind: str) -> None:
    """A rule, a rate, an unknown thing, a missing right; a dry run says the same and enters nothing."""
    async with two_clients(kind) as (_, _, fund):
        with pytest.raises(Rejected, match="PRICE_OUT_OF_BAND") as refused:
            await fund.buy("SPX", 1, price=1.0)
        assert refused.value.details["low"] == 3520.0
        with pytest.raises(NotFound, match="UNKNOWN_INSTRUMENT"):
            await fund.buy("XXX", 1)
        with pytest.raises(Rejected, match="PRICE_OUT_OF_BAND"):
            await fund.validate("SPX", Side.BUY, 1, price=1.0)
        await fund.validate("SPX", Side.BUY, 1, price=4400.0)
        assert await fund.open_orders() == []
        orders = [fund.buy("SPX", 1, price=4300.0, time_in_force=TimeInForce.IOC) for _ in range(9)]
        answers = await asyncio.gather(*orders, return_exceptions=True)
        limited = [each for each in answers if isinstance(each, RateLimited)]
        assert limited
        assert all(each.code == "ORDER_RATE_EXCEEDED" and each.retry_after_s for each in limited)


@pytest.mark.parametrize("kind", TRANSPORTS)
async def test_batch_tells_what_each_order_came_to(kind: str) -> None:
    """Receipts and refusals in the order of the batch; the account knows what is open."""
    async with two_clients(kind) as (_, maker, _):
        await maker.subscribe("private")
        good = OrderRequest(instrument_id="SPX", side=Side.BUY, quantity=1, price=4300.0)
        bad = OrderRequest(instrument_id="SPX", side=Side.BUY, quantity=1, price=4300.001)
        first, second, third = await maker.batch([good, bad, good], wait=WaitFor.SETTLEMENT)
        assert isinstance(first, OrderReceipt)
        assert first.status is OrderStatus.OPEN
        assert isinstance(second, Rejected)
        assert second.code == "PRICE_NOT_ON_TICK"
        assert isinstance(third, OrderReceipt)
        assert [order.order_id for order in await maker.open_orders()] == [third.order_id, first.order_id]
        assert {order.order_id for order in maker.account.open_orders()} == {first.order_id, third.order_id}


@pytest.mark.parametrize("kind", TRANSPORTS)
async def test_orders_do_not_outlive_their_client(kind: str) -> None:
    """They go with its socket where it asked for that; the dead-man switch is the team's."""
    async with ws_exchange() as running:
        team = await register(transport_to(running, "in-process http", None), "Maker", "market_maker")
        async with (
            client_over(transport_to(running, kind, team.api_key)) as maker,
            OperatorClient(transport_to(running, "http", ADMIN_KEY)) as operator,
        ):
            await _outlive(running, kind, team.api_key, maker, operator)


async def _outlive(
    running: WsExchange, kind: str, key: str, maker: ExchangeClient, operator: OperatorClient
) -> None:
    armed = await maker.cancel_all_after(3_600)
    assert (armed.armed, armed.timeout_ms) == (True, 3_600_000)
    assert await maker.dead_man_switch() == armed
    assert not (await maker.cancel_all_after(0)).armed
    async with client_over(transport_to(running, kind, key), 2) as guarded:
        await guarded.cancel_on_disconnect()
        await guarded.buy("SPX", 1, price=4300.0)
    async with asyncio.timeout(10):
        while orders := await maker.open_orders():
            assert len(orders) == 1
            await asyncio.sleep(0)
    await maker.buy("SPX", 1, price=4300.0)
    assert await operator.cancel_orders("TEAM_1") == 1


async def test_client_hears_that_the_server_stops() -> None:
    """Among its events, with the time that is left."""
    async with ws_exchange() as running:
        team = await register(transport_to(running, "in-process http", None), "Maker", "market_maker")
        async with client_over(transport_to(running, "http", team.api_key)) as client:
            stream = client.events("private")
            await stream.open()
            notice = asyncio.create_task(running.exchange.give_notice())
            events = await read_until(stream, lambda events: ServerStopping(1_000) in events)
            notice.cancel()
            assert [each for each in events if isinstance(each, ServerStopping)] == [ServerStopping(1_000)]


@pytest.mark.parametrize("kind", TRANSPORTS)
async def test_cancel_all_leaves_nothing_open(kind: str) -> None:
    """In one instrument, then everywhere; pages of open orders are joined."""
    async with two_clients(kind) as (_, maker, _):
        for instrument_id, price in (("SPX", 4300.0), ("SPX", 4301.0), ("SPY", 430.0)):
            await maker.buy(instrument_id, 1, price=price)
        assert len(await maker.open_orders()) == 3
        assert await maker.cancel_all("SPX", Side.SELL) == 0
        assert await maker.cancel_all("SPX", Side.BUY) == 2
        assert [order.instrument_id for order in await maker.open_orders()] == ["SPY"]
        assert await maker.cancel_all() == 1
        assert await maker.open_orders() == []


@pytest.mark.parametrize("kind", TRANSPORTS)
async def test_order_controls_are_keywords(kind: str) -> None:
    """A stop waits, is amended and triggered; labels are cancelled together; the account follows."""
    async with two_clients(kind) as (_, maker, fund):
        stream = fund.events("private")
        await stream.open()
        tomorrow = datetime.now(UTC) + timedelta(days=1)
        stop = await fund.buy("SPX", 2, stop_price=4500.0, label="exit", wait=WaitFor.SETTLEMENT)
        assert stop.status is OrderStatus.UNTRIGGERED
        amended = await fund.amend(stop.order_id, stop_price=4401.0)
        assert amended.state is not None
        assert amended.state.stop_price == 4401.0
        await read_until(stream, count(OrderAmended, 1))
        assert [(each.stop_price, each.label) for each in fund.account.open_orders()] == [(4401.0, "exit")]
        await maker.sell("SPX", 3, price=4401.0, post_only=PostOnly.REFUSE, display_quantity=1)
        with pytest.raises(Rejected, match="REDUCE_ONLY_REFUSED"):
            await fund.validate("SPX", Side.SELL, 1, price=4500.0, reduce_only=True)
        await fund.buy("SPX", 1, price=4401.0, time_in_force=TimeInForce.FOK)
        events = await read_until(stream, count(OrderTriggered, 1))
        assert isinstance(events[-1], OrderTriggered)
        await read_until(stream, count(PositionUpdate, 2))
        assert fund.account.position("SPX") == 3
        assert fund.account.open_orders() == []
        placed = await fund.sell(
            "SPX",
            3,
            price=4500.0,
            time_in_force=TimeInForce.GTD,
            expires_at=tomorrow,
            label="exit",
            reduce_only=True,
        )
        view = await fund.get_order(placed.order_id)
        assert view.expires_at == tomorrow.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        assert view.reduce_only
        assert await fund.cancel_all(label="other") == 0
        assert await fund.cancel_all(label="exit") == 1


@pytest.mark.parametrize("kind", TRANSPORTS)
async def test_market_can_be_looked_at(kind: str) -> None:
    """Instruments, limits and the state of the game."""
    async with two_clients(kind) as (_, maker, _):
        instruments = {each.instrument_id: each for each in await maker.instruments()}
        assert len(instruments) == 22
        assert (instruments["SPX"].tick_size, instruments["SPX"].reference_price) == (0.01, 4400.0)
        limits = await maker.limits()
        assert limits.role == "market_maker"
        assert {"order_rate", "order_size", "portfolio_limit"} <= {each.type for each in limits.limits}
        assert (await maker.status()).teams == 2
        assert "market_maker" in {role.role for role in (await maker.rules()).roles}


@pytest.mark.parametrize("kind", TRANSPORTS)
async def test_operator_manages_teams(kind: str) -> None:
    """Add, list, disable, enable and give a new key; the team's client hears of it."""
    async with ws_exchange() as running:
        public = transport_to(running, kind, None)
        alpha = await register(public, "Alpha", "hedge_fund", "not needed here")
        with pytest.raises(Rejected, match="TEAM_NAME_TAKEN"):
            await register(public, "Alpha", "hedge_fund")
        with pytest.raises(Rejected, match="ROLE_NOT_OPEN"):
            await register(public, "Beta", "retail")
        await public.close()
        async with OperatorClient(transport_to(running, kind, ADMIN_KEY)) as operator:
            flow = await operator.add_team("Flow", "retail")
            assert [team.name for team in await operator.teams()] == ["Alpha", "Flow"]
            assert (await operator.status()).teams == 2
            async with client_over(transport_to(running, kind, flow.api_key)) as client:
                stream = client.events("private")
                await stream.open()
                await client.buy("SPX", 1, price=4300.0)
                assert (await operator.disable_team(flow.team_id, "test")).disabled
                events = await read_until(stream, count(OrderCancelled, 1))
                assert isinstance(events[-1], OrderCancelled)
                with pytest.raises(Forbidden, match="TEAM_DISABLED"):
                    await client.buy("SPX", 1, price=4300.0)
                assert not (await operator.enable_team(flow.team_id)).disabled
                rotated = await operator.rotate_key(flow.team_id)
                assert rotated.api_key != flow.api_key
                with pytest.raises(Unauthenticated):
                    await read_until(stream, lambda events: False)
                with pytest.raises(Unauthenticated):
                    await client.buy("SPX", 1, price=4300.0)
            acts = (await operator.audit()).acts
            assert [(act.actor, act.act) for act in acts[1:]] == [
                ("TEAM_1", "register_team"),
                *(
                    ("operator", act)
                    for act in ("register_team", "disable_team", "enable_team", "rotate_key")
                ),
            ]
            assert (await operator.audit(after=acts[-2].act_id)).acts == acts[-1:]
        with pytest.raises(Forbidden):
            async with OperatorClient(transport_to(running, kind, alpha.api_key)) as intruder:
                await intruder.teams()


class Forgetful:
    """Requests reach the exchange; the first answer of each kind is lost on its way back."""

    def __init__(self, inner: Transport, methods: set[str]) -> None:
        self._inner = inner
        self._methods = set(methods)
        self.api_key = inner.api_key
        self.prefers_socket = inner.prefers_socket

    async def request(self, method: str, target: str, body: bytes | None) -> HttpAnswer:
        answer = await self._inner.request(method, target, body)
        if method in self._methods:
            self._methods.discard(method)
            raise SocketClosed(1006)
        return answer

    async def connect(self) -> Socket:
        return _ForgetfulSocket(await self._inner.connect(), self._methods)

    async def close(self) -> None:
        await self._inner.close()


class _ForgetfulSocket:
    def __init__(self, inner: Socket, methods: set[str]) -> None:
        self._inner = inner
        self._methods = methods
        self._is_deaf = False

    async def send(self, message: bytes) -> None:
        for method in list(self._methods):
            if f'"method":"{method}"'.encode() in message:
                self._methods.discard(method)
                self._is_deaf = True
        await self._inner.send(message)

    async def receive(self) -> bytes:
        message = await self._inner.receive()
        while self._is_deaf and message.startswith(b'{"type"'):
            message = await self._inner.receive()
        if self._is_deaf:
            await self._inner.close()
            raise SocketClosed(1006)
        return message

    async def close(self) -> None:
        await self._inner.close()


@pytest.mark.parametrize("kind", TRANSPORTS)
async def test_lost_answers_change_nothing(kind: str) -> None:
    """Order, amend and cancel each take effect once although every first answer was lost."""
    methods = {"POST", "PATCH", "DELETE", "order.new", "order.amend", "order.cancel"}
    async with ws_exchange() as running:
        team = await register(transport_to(running, "in-process http", None), "Maker", "market_maker")
        transport = Forgetful(transport_to(running, kind, team.api_key), methods)
        async with client_over(transport) as client:
            stream = client.events("private")
            await stream.open()
            placed = await client.buy("SPX", 5, price=4300.0)
            assert placed.resent
            amended = await client.amend(placed.order_id, quantity=6)
            assert amended.state is not None
            assert (amended.resent, amended.state.quantity) == (True, 6)
            cancelled = await client.cancel(placed.order_id)
            assert (cancelled.resent, cancelled.status) == (True, OrderStatus.CANCELLED)
            events = await read_until(stream, count(OrderCancelled, 1))
        assert numbers(events, NewOrderAck, OrderAmended, OrderCancelled) == [1, 2, 3]


async def test_batch_whose_answer_is_lost_is_entered_once() -> None:
    """Sent again with the same ids: each order is found to be in."""
    async with ws_exchange() as running:
        team = await register(transport_to(running, "in-process http", None), "Maker", "market_maker")
        transport = Forgetful(transport_to(running, "http", team.api_key), {"POST"})
        async with client_over(transport) as client:
            order = OrderRequest(instrument_id="SPX", side=Side.BUY, quantity=1, price=4300.0)
            receipts = await client.batch([order, order])
            assert all(isinstance(each, OrderReceipt) and each.resent for each in receipts)
            assert len(await client.open_orders()) == 2


@pytest.mark.parametrize("kind", ["http", "in-process http"])
@pytest.mark.parametrize("budget", range(0, 24, 3))
async def test_broken_socket_is_resumed_by_the_exchange(kind: str, budget: int) -> None:
    """Every event once and in order, however often the socket breaks."""
    async with ws_exchange() as running:
        team = await register(transport_to(running, "in-process http", None), "Maker", "market_maker")
        transport = CuttingTransport(transport_to(running, kind, team.api_key), [budget] * 6)
        async with client_over(transport) as client:
            stream = client.events("private", "book.SPX")
            opened = asyncio.create_task(stream.open())
            for number in range(1, 21):
                await client.buy("SPX", 1, price=4300.0 + number)
            await opened
            await client.cancel_all()
            events = await read_until(
                stream,
                lambda events: (
                    40 in numbers(events, OrderCancelled, PositionSnapshot)
                    and (book := client.live_book("SPX")) is not None
                    and book.is_synced
                    and book.best_bid is None
                ),
            )
        private = numbers(events, NewOrderAck, OrderCancelled)
        assert private == list(range(41 - len(private), 41))
        assert client.account.open_orders() == []
        if budget < 12:
            assert any(isinstance(event, Reconnected) for event in events) or transport.cuts

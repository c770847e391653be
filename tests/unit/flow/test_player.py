"""The player against a whole exchange in this process, whose rules are bent one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

import pytest

from bench.flowgen import SHAPES, generate
from bench.flows import FlowPlayer
from exchange.app import Exchange
from exchange.client import (
    ExchangeClient,
    Forbidden,
    InProcessTransport,
    OperatorClient,
    Phase,
    WaitFor,
    register,
)
from exchange.config import GameConfig
from exchange.flow.errors import FlowFailed, Unreproducible
from exchange.flow.player import Player
from exchange.flow.recording import Action, Message
from exchange.model.commands import SetPhase
from exchange.model.presets import preset_rules
from exchange.model.roles import OrderSize, Role
from exchange.model.rules import Bands
from exchange.model.types import SelfTradePrevention, Side, TimeInForce
from tests.support.http_exchange import ADMIN_KEY, http_exchange

RULES = preset_rules("flow")


class Stage(NamedTuple):
    """A player and the exchange it plays on."""

    player: Player
    exchange: Exchange

    async def guest(self) -> ExchangeClient:
        """A client of a team that has no part in the flow."""
        team = await register(InProcessTransport(self.exchange.api), "guest", "player")
        return ExchangeClient(InProcessTransport(self.exchange.api, team.api_key))


@asynccontextmanager
async def _stage(clients: int = 2, wait_s: float = 10.0, **changes: Any) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(http_exchange(game=GameConfig(preset="flow", **changes)))
        app = running.exchange.api
        found = []
        for number in range(clients):
            team = await register(InProcessTransport(app), f"T{number}", "player")
            transport = InProcessTransport(app, team.api_key, prefers_socket=bool(number % 2))
            found.append(await stack.enter_async_context(ExchangeClient(transport)))
            await found[-1].subscribe("private")
        (instrument,) = await found[0].instruments()
        yield Stage(Player(found, instrument, wait_s), running.exchange)


def _new(seq: int, order_id: int, side: str, ticks: int, quantity: int = 5, *, ioc: bool = False) -> Message:
    return Message(
        seq=seq,
        action=Action.NEW,
        order_id=order_id,
        side=Side(side),
        price_ticks=ticks,
        quantity=quantity,
        time_in_force=TimeInForce.IOC if ioc else TimeInForce.GTC,
    )


def _amend(seq: int, order_id: int, ticks: int, quantity: int) -> Message:
    return Message(
        seq=seq, action=Action.AMEND, order_id=order_id, price_ticks=ticks, quantity=quantity, side=Side.BUY
    )


def _cancel(seq: int, order_id: int) -> Message:
    return Message(seq=seq, action=Action.CANCEL, order_id=order_id)


async def test_player_reports_every_kind() -> None:
    """Acknowledgement, trade, remainder, amend after its trades, both refusals; between two clients."""
    messages = [
        _new(0, 1, "sell", 101, 5),
        _new(1, 2, "buy", 100, 8),
        _new(2, 3, "sell", 100, 2),
        _amend(3, 2, 101, 10),
        _new(4, 4, "sell", 101, 9, ioc=True),
        _cancel(5, 2),
        _amend(6, 2, 101, 4),
        _new(7, 5, "buy", 99),
        _cancel(8, 5),
        _cancel(9, 77),
    ]
    async with _stage() as (player, _):
        for message in messages:
            await player.play(message)
    assert player.reports.lines == [
        "0,0,1,1,101,5",
        "0,1,0,2,100,8",
        "0,2,1,3,100,2",
        "1,2,100,2,2,3",
        "1,3,101,5,1,2",
        "3,3,0,2,101,10",
        "0,4,1,4,101,9",
        "1,4,101,5,2,4",
        "2,4,1,4,101",
        "4,5,2",
        "5,6,2",
        "0,7,0,5,99,5",
        "2,8,0,5,99",
        "4,9,77",
    ]


@pytest.mark.parametrize("clients", [1, 3])
async def test_player_reports_what_the_book_reports(clients: int) -> None:
    """A generated flow gives the reports of the bare book, however many clients share it."""
    generated = generate(SHAPES["overlapping"], 150, 3)
    book = FlowPlayer()
    expected = [line for message in generated for line in book.play(message)]
    async with _stage(clients) as (player, _):
        for each in generated:
            await player.play(
                Message(
                    seq=each.seq,
                    action=Action(each.action),
                    order_id=each.order_id,
                    side=each.side,
                    price_ticks=max(1, each.price_ticks),
                    quantity=max(1, each.quantity),
                    time_in_force=TimeInForce.IOC if each.immediate else TimeInForce.GTC,
                )
            )
    assert player.reports.lines == expected
    assert book.trades > 20


INSTRUMENT = RULES.instruments[0]
SMALL = Role(name="player", constraints=(OrderSize(max_size=5),))
PREVENTED = {"self_trade_prevention": SelfTradePrevention.CANCEL_TAKER}
BENT: list[tuple[dict[str, Any], list[Message], str]] = [
    (
        PREVENTED,
        [_new(0, 2, "sell", 100), _new(1, 4, "buy", 100)],
        "self-trade prevention: message 1 ended in a cancellation, reason self_trade",
    ),
    (
        PREVENTED,
        [_new(0, 2, "sell", 100), _new(1, 4, "buy", 99), _amend(2, 4, 100, 6)],
        "self-trade prevention: message 2 ended",
    ),
    ({"bands": Bands()}, [_new(0, 2, "sell", 100)], "price bands: message 0 was refused, PRICE_OUT_OF_BAND"),
    (
        {"roles": (SMALL,)},
        [_new(0, 2, "sell", 100, 6)],
        "role constraint: message 0 was refused, ORDER_SIZE_OUT_OF_RANGE",
    ),
]


@pytest.mark.parametrize(("changes", "messages", "rule"), BENT)
async def test_player_names_the_rule_an_answer_shows(
    changes: dict[str, Any], messages: list[Message], rule: str
) -> None:
    """A refusal, or a cancellation that no recorded flow knows, is traced to its rule."""
    async with _stage(1, **changes) as (player, _):
        for message in messages[:-1]:
            await player.play(message)
        with pytest.raises(Unreproducible, match=rule):
            await player.play(messages[-1])


async def test_player_names_a_market_that_halts_on_the_way() -> None:
    """The phase is looked at beforehand, and may change."""
    async with _stage(1) as (player, exchange):
        await player.play(_new(0, 2, "sell", 100))
        exchange.path.submit_system(SetPhase(Phase.HALTED, "test"))
        with pytest.raises(Unreproducible, match="market phase: message 1 was refused, MARKET_CLOSED"):
            await player.play(_new(1, 4, "sell", 100))


async def test_player_waits_for_the_makers_half() -> None:
    """A trade with somebody who is none of the clients fails, and the half that is missing is named."""
    async with _stage(1, wait_s=0.05) as stage, await stage.guest() as guest:
        await guest.sell(INSTRUMENT.instrument_id, 5, price=0.5)
        with pytest.raises(FlowFailed, match=r"message 0: the maker's execution of TRD_1 did not arrive"):
            await stage.player.play(_new(0, 2, "buy", 100))


async def test_player_notices_a_trade_nobody_asked_for() -> None:
    """A resting order that a stranger takes shows with the next message."""
    async with _stage(1) as stage, await stage.guest() as guest:
        await stage.player.play(_new(0, 2, "sell", 100))
        with pytest.raises(FlowFailed, match="message 1: 1 executions of makers came"):
            await asyncio.gather(
                guest.buy(INSTRUMENT.instrument_id, 5, price=0.5, wait=WaitFor.SETTLEMENT),
                stage.player.play(_new(1, 4, "sell", 200)),
            )


async def test_player_calls_no_rule_what_is_none() -> None:
    """A team that an operator took out is refused for other reasons than the market's."""
    async with _stage(1) as (player, exchange):
        async with OperatorClient(InProcessTransport(exchange.api, ADMIN_KEY)) as operator:
            await operator.disable_team("TEAM_1")
        with pytest.raises(Forbidden):
            await player.play(_new(0, 2, "sell", 100))

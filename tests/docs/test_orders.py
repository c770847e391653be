"""The sessions of docs/orders.md, played on a game, and its tables against the code."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from exchange.base.bounds import (
    MAX_EXPIRY_US,
    MAX_ICEBERG_SLICES,
    MAX_PROTECTION_FILLS,
    MAX_QUOTE_GROUPS,
    MAX_STOP_ORDERS,
)
from exchange.model.commands import (
    AmendOrder,
    AnyCommand,
    CancelOrders,
    CancelScope,
    ExpireOrders,
    NewOrder,
    Quote,
    Record,
    SetPhase,
)
from exchange.model.events import OrderEvent
from exchange.model.presets import preset_rules
from exchange.model.reasons import Refusal
from exchange.model.types import CancelReason, OrderType, Phase, SelfTradePrevention, TimeInForce
from exchange.services.validation.controls import TIMES_IN_FORCE
from exchange.wire.encode_events import PrivateEventWriter
from exchange.wire.errors import api_error
from exchange.wire.ids import DEFAULT_GROUP
from exchange.wire.orders import amend_order, new_order, price_grids
from exchange.wire.quotes import new_protection, new_quote
from exchange.wire.requests import AmendRequest, OrderRequest, ProtectionRequest, QuoteRequest
from exchange.wire.times import microseconds
from tests.support.staged import Staged

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "orders.md").read_text()
SESSIONS = re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)
MORNING_US = microseconds(datetime.fromisoformat("2024-01-15T10:00:00Z"))
YOU, THEY, MAKER = 1, 2, 3
START = (
    (THEY, {"side": "sell", "quantity": 10, "price": 4400.0}),
    (YOU, {"side": "buy", "quantity": 10, "price": 4400.0}),
    (MAKER, {"side": "buy", "quantity": 10, "price": 4399.0}),
    (MAKER, {"side": "sell", "quantity": 10, "price": 4401.0}),
)


class Session:
    """One example: a game in the state the page speaks of, and what was heard and not yet compared."""

    def __init__(self) -> None:
        rules = preset_rules("small")
        self.now_us = MORNING_US
        self.game = Staged(rules, "market_maker", teams=3)
        self.grids = price_grids(rules.instruments)
        self.writer = PrivateEventWriter(rules.instruments)
        self.heard: list[dict[str, Any]] = []
        self.last_order_id = 0
        for account, fields in START:
            self.order(account, {"instrument_id": "SPX", **fields})
        self.heard.clear()

    def play(self, line: str) -> None:
        """Carry out one line, or compare with what came."""
        who, direction, text = line.split(" ", 2)
        if direction == "←":
            self.compare(who, json.loads(text))
            return
        assert not self.heard, "something was heard that the page does not tell"
        match who:
            case "you" | "they":
                self.order(YOU if who == "you" else THEY, json.loads(text))
            case "amend":
                request = msgspec.convert(json.loads(text), AmendRequest)
                self.enter(amend_order(request, YOU, self.last_order_id, self.grids["SPX"], "r"))
            case "quote":
                self.quote(json.loads(text))
            case "protect":
                wish = msgspec.convert(json.loads(text), ProtectionRequest)
                self.enter(new_protection(wish, DEFAULT_GROUP, YOU, "r"))
            case "cancel_all":
                scope = CancelScope(label=json.loads(text)["label"])
                self.enter(CancelOrders(YOU, (scope,), CancelReason.REQUESTED, "r"))
            case "phase":
                self.enter(SetPhase(Phase(text), "test"))
            case "time":
                self.now_us = microseconds(datetime.fromisoformat(text))
                self.enter(ExpireOrders(self.now_us))
            case _:
                raise AssertionError(line)

    def order(self, account: int, body: dict[str, Any]) -> None:
        """As the server does: the body, the command, the three stages."""
        request = msgspec.json.decode(json.dumps(body), type=OrderRequest)
        order = new_order(request, account, "r", self.grids)
        assert isinstance(order, NewOrder)
        self.enter(order)

    def quote(self, body: dict[str, Any]) -> None:
        """One of a request."""
        request = msgspec.json.decode(json.dumps(body), type=QuoteRequest)
        quote = new_quote(request, DEFAULT_GROUP, YOU, "r", self.grids)
        assert isinstance(quote, Quote)
        answer = self.game.quote(quote, self.now_us)
        if isinstance(answer, Refusal):
            self.refused(answer)
            return
        self.listen()

    def enter(self, command: AnyCommand | AmendOrder | Refusal) -> None:
        verdict = command if isinstance(command, Refusal) else self.game.enter(command, self.now_us)
        if isinstance(verdict, Refusal):
            self.refused(verdict)
            return
        assert isinstance(verdict, Record)
        if isinstance(command, NewOrder) and command.account == YOU:
            self.last_order_id = verdict.sequence
        self.listen()

    def refused(self, refusal: Refusal) -> None:
        self.heard.append({"error": msgspec.to_builtins(api_error(refusal, self.grids))})

    def listen(self) -> None:
        """Let everything happen; what you are told of it."""
        told = len(self.game.told)
        self.game.drain()
        self.heard += [
            msgspec.to_builtins(self.writer.message(event))
            for event in self.game.told[told:]
            if isinstance(event, OrderEvent) and event.account == YOU
        ]

    def compare(self, who: str, printed: dict[str, Any]) -> None:
        """What is printed is part of what was said."""
        if who == "book":
            grid, depth = self.grids["SPX"], self.game.core.venue.depth("SPX", 10)
            for side in ("bids", "asks"):
                assert printed[side] == [[grid.decimal(ticks), lots] for ticks, lots in getattr(depth, side)]
            return
        heard = self.heard.pop(0)
        assert _cut(heard, printed) == printed


def _cut(heard: Any, printed: Any) -> Any:
    """``heard`` without the fields that are not printed."""
    if isinstance(heard, dict) and isinstance(printed, dict):
        return {name: _cut(heard.get(name), value) for name, value in printed.items()}
    return heard


@pytest.mark.parametrize("session", SESSIONS)
def test_session_of_the_page_is_what_happens(session: str) -> None:
    """Each example, line by line: nothing else is heard, and nothing that is told is missing."""
    example = Session()
    for line in session.splitlines():
        example.play(line)
    assert example.heard == []


def _rows(heading: str) -> dict[str, list[str]]:
    section = PAGE.split(f"## {heading}\n")[1]
    table = re.search(r"(?:^\|.*\n)+", section, re.MULTILINE)
    assert table is not None
    lines = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in table[0].splitlines()[2:]]
    return {cells[0].strip("`"): cells[1:] for cells in lines}


def test_orders_page_lists_types_times_and_modes() -> None:
    """Every value of a field is there, with what it goes with."""
    types, times = _rows("Order types"), _rows("time_in_force")
    assert set(types) == {each.value for each in OrderType}
    for each in OrderType:
        assert [cell == "yes" for cell in types[each.value][:2]] == [each.has_price, each.is_stop]
    assert set(times) == {each.value for each in TimeInForce}
    for time_in_force in TimeInForce:
        told = set(re.findall(r"`(\w+)`", times[time_in_force.value][-1]))
        assert told == {kind.value for kind, allowed in TIMES_IN_FORCE.items() if time_in_force in allowed}
    assert set(_rows("self_trade_prevention")) == {each.value for each in SelfTradePrevention}


def test_orders_page_lists_every_control() -> None:
    """The table at the top has what an order may carry beyond instrument, side, quantity and name."""
    top = re.findall(r"^\| `(\w+)` \|", PAGE.split("\n## ")[0], re.MULTILINE)
    plain = {"instrument_id", "side", "quantity", "order_type", "client_order_id"}
    assert set(top) == set(OrderRequest.__struct_fields__) - plain


def test_orders_page_tells_the_bounds() -> None:
    """Figures of the page are those of the code."""
    assert f"{MAX_STOP_ORDERS:,} stop orders" in PAGE.replace("\n", " ")
    assert f"may protect {MAX_QUOTE_GROUPS} groups" in PAGE
    assert f"{MAX_PROTECTION_FILLS:,} fills within the window" in PAGE.replace("\n", " ")
    assert f"at most {MAX_EXPIRY_US // 86_400_000_000} days" in PAGE
    assert MAX_ICEBERG_SLICES == 100
    assert "a hundredth of the quantity" in PAGE.replace("\n", " ")

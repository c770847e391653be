"""docs/websocket.md against the code, and its session and program against a running exchange."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from exchange.api.socket.methods import METHODS
from exchange.model.types import CancelReason, Phase
from exchange.wire.events import AnyEvent, Hello, ServerShutdown
from tests.support.programs import run_program
from tests.support.ws_exchange import ws_exchange

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "websocket.md").read_text()
MESSAGES = (Hello, *get_args(AnyEvent), ServerShutdown)
OWN_METHODS = {"ping", "login", "subscribe", "unsubscribe"}
EVERYWHERE = {"seq", "timestamp"}
OF_THE_RUN = {"timestamp", "epoch", "order_id"}
DEADLINE_S = 20


def _rows(heading: str) -> dict[str, list[str]]:
    """The first table below a heading: what its first cell names, and the other cells."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return {cells[0].strip(" `"): cells[1:] for cells in lines}


def test_websocket_page_lists_every_method() -> None:
    """The table has the methods of the server, no more and no fewer."""
    assert set(_rows("Requests")) == set(METHODS) | OWN_METHODS


def test_websocket_page_lists_every_message() -> None:
    """Every type of message is there."""
    assert set(_rows("Messages")) == {each.__struct_config__.tag for each in MESSAGES}


@pytest.mark.parametrize("message", MESSAGES, ids=lambda each: str(each.__struct_config__.tag))
def test_websocket_page_lists_every_field(message: Any) -> None:
    """All fields of a message, in brackets those that may be absent."""
    told = _rows("Messages")[message.__struct_config__.tag][0]
    optional = set(message.__struct_fields__[-len(message.__struct_defaults__) :])
    optional = {name for name in optional if message.__struct_defaults__}
    assert set(re.findall(r"\[`(\w+)`\]", told)) == optional
    assert set(re.findall(r"`(\w+)`", told)) == set(message.__struct_fields__) - EVERYWHERE


@pytest.mark.parametrize("values", [CancelReason, Phase])
def test_websocket_page_lists_the_values(values: Any) -> None:
    """Why an order ended, and the states of the market."""
    section = PAGE.split("\n## Messages\n")[1].split("\n## ")[0]
    assert {each.value for each in values} <= set(re.findall(r"`(\w+)`", section))


async def test_websocket_session_is_as_printed() -> None:
    """What the page prints at its top is what happens: same messages, same order, same values."""
    session = PAGE.split("```\n")[1].splitlines()
    async with ws_exchange() as running:
        key = await running.team("Alpha", "market_maker")
        socket = await running.connect(key)
        for line in session[1:]:
            direction, text = line[:2].strip(), line[2:]
            if direction == "→":
                await socket.send(text)
                continue
            async with asyncio.timeout(DEADLINE_S):
                received = json.loads(await socket.recv())
            assert _lasting(received) == _lasting(json.loads(text))


def _lasting(message: Any) -> Any:
    """A message without what differs between two runs; that it is there is compared."""
    if isinstance(message, dict):
        return {name: name in OF_THE_RUN or _lasting(value) for name, value in message.items()}
    if isinstance(message, list):
        return [_lasting(each) for each in message]
    return message


async def test_websocket_program_without_the_sdk_runs() -> None:
    """It runs as it stands, and prints what the socket told it."""
    program = re.search(r"```python\n# plain\.py\n(.*?)```", PAGE, re.DOTALL)
    assert program is not None
    async with ws_exchange() as running:
        printed = await run_program(program[1], running.port)
    answers = {"answer to login", "answer to all", "answer to buy"}
    events = {
        "hello",
        "position_snapshot",
        "book_snapshot",
        "new_order_ack",
        "book_update",
        "order_cancelled",
    }
    assert answers | events <= set(printed)

"""docs/websocket.md against the code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from exchange.api.socket.methods import METHODS
from exchange.api.socket.stream import IDLE
from exchange.base import bounds
from exchange.pipeline.hub import BROKEN, LOGGED_OUT, TOO_FAST, TOO_SLOW
from exchange.wire import socket
from exchange.wire.encode_events import Encoding
from exchange.wire.events import AnyEvent
from exchange.wire.requests import OrderRequest, Request

PAGE = (Path(__file__).resolve().parents[4] / "docs" / "websocket.md").read_text()

OWN: dict[str, type[Request]] = {
    "ping": socket.NoParams,
    "login": socket.LoginParams,
    "subscribe": socket.SubscribeParams,
    "unsubscribe": socket.UnsubscribeParams,
}


def _rows(title: str) -> list[list[str]]:
    section = PAGE.split(f"## {title}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_page_lists_every_method_with_its_params() -> None:
    """No more and no fewer; an order's fields are those of HTTP and are not repeated."""
    params = OWN | {name: method.params for name, method in METHODS.items()}
    rows = {row[0].strip("`"): set(re.findall(r"`(\w+)`", row[1])) for row in _rows("Requests")}
    assert set(rows) == set(params)
    for name, fields in rows.items():
        known = set(params[name].__struct_fields__)
        if name == "order.new":
            known -= set(OrderRequest.__struct_fields__)
        assert fields == known, name


def test_page_lists_every_event() -> None:
    """Each type of message stands in the table of channels."""
    told = {name for row in _rows("Channels") for cell in row[1:] for name in re.findall(r"`(\w+)`", cell)}
    assert told == {event.__struct_config__.tag for event in get_args(AnyEvent)}


def test_page_lists_every_close_code() -> None:
    """Those the exchange itself gives."""
    codes = {int(row[0]) for row in _rows("How a socket ends")}
    assert {IDLE, LOGGED_OUT, TOO_FAST, TOO_SLOW, BROKEN} <= codes


def test_page_names_the_bounds() -> None:
    """Figures of the page are those of the code."""
    for figure in (
        f"At most {bounds.MAX_IN_FLIGHT_PER_CONNECTION} requests",
        f"best {bounds.MAX_BOOK_LEVELS:,} levels",
        f"last {bounds.PRIVATE_STREAM_EVENTS:,} events",
        f"last {bounds.PUBLIC_STREAM_EVENTS:,} messages",
        f"or {bounds.CONNECTION_BUFFER_MESSAGES:,} messages unread",
        f"{bounds.CONNECTION_BUFFER_BYTES // 1_048_576} MiB",
        f"larger than {bounds.MAX_MESSAGE_BYTES // 1024} KiB",
        f"after {bounds.SOCKET_IDLE_S:.0f} seconds",
        f"| {bounds.MAX_CONNECTIONS_PER_ADDRESS:,}, HTTP and WebSocket together",
        f"; {bounds.MAX_CONNECTIONS:,} of all",
        f"channels of a socket | {bounds.MAX_SUBSCRIPTIONS:,} |",
        f"under way | {bounds.MAX_IN_FLIGHT_PER_CONNECTION} |",
        f"a message | {bounds.MAX_MESSAGE_BYTES // 1024} KiB in {bounds.MAX_MESSAGE_FRAGMENTS} frames",
        *(encoding.value for encoding in Encoding),
    ):
        assert figure in PAGE.replace("\n", " "), figure

"""The commands and answers printed in the documents, against a server that is in the state they speak of."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests.support.ws_exchange import ADMIN_KEY, WsExchange, ws_exchange

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
OPTION = "SPX_CALL_4400_20240315"
REQUEST_ID = "my-request-1"
REFERENCE = (DOCS / "http.md").read_text().split("<!-- Below this line")[1]
SECTIONS = dict(re.findall(r"^### (.*?)\n(.*?)(?=^##|\Z)", REFERENCE, re.DOTALL | re.MULTILINE))
README = (ROOT / "README.md").read_text()
# The reference shows an order that is partly filled; this section needs one that is not there yet.
ENTERED_HERE = "POST /exchange/orders"


class Command(NamedTuple):
    """A curl command, taken apart."""

    method: str
    url: str
    headers: dict[str, str]
    body: str | None


class Game(NamedTuple):
    """An exchange on which ORD_67890 of the examples is partly filled, and what stands for what they say."""

    running: WsExchange
    names: dict[str, str]

    async def run(self, command: str) -> httpx.Response:
        """The answer to a command of the documents, with the names of this game in it."""
        for told, name in self.names.items():
            command = command.replace(told, name)
        method, url, headers, body = parse(command)
        async with httpx.AsyncClient() as client:
            return await client.request(method, url, headers=headers, content=body)


def parse(command: str) -> Command:
    """``curl`` with -X, -H, -d and -s, and nothing else."""
    words = iter(shlex.split(command.replace("\\\n", " ").removeprefix("$ ")))
    assert next(words) == "curl"
    method, url, headers, body = "", "", {}, None
    for word in words:
        if word == "-X":
            method = next(words)
        elif word == "-H":
            name, value = next(words).split(": ", 1)
            headers[name] = value
        elif word == "-d":
            body = next(words)
        elif word != "-s":
            assert not url, word
            assert not word.startswith("-"), word
            url = word if "://" in word else f"http://{word}"
    return Command(method or ("GET" if body is None else "POST"), url, headers, body)


def curls(text: str) -> list[str]:
    """Every curl command in a document, with its continued lines."""
    return re.findall(r"^(?:\$ )?(curl .*?[^\\])$(?=\n(?!    -))", text, re.DOTALL | re.MULTILINE)


async def order(running: WsExchange, key: str, **fields: Any) -> str:
    """An order on the option, settled."""
    body = {"instrument_id": OPTION, **fields}
    headers = {"X-API-Key": key, "X-Request-ID": fields.get("client_order_id", "other")}
    url = f"http://127.0.0.1:{running.port}/exchange/orders?wait=settlement"
    async with httpx.AsyncClient() as client:
        answer = await client.post(url, json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    order_id: str = answer.json()["order_id"]
    return order_id


@pytest.fixture
async def game() -> AsyncIterator[Game]:
    """Four lots were bought at 62.45, six still wait at 62.50; others quote around."""
    async with ws_exchange() as running:
        alpha, other = await running.team("First", "market_maker"), await running.team("Other", "arbitrage")
        await order(running, other, side="sell", quantity=4, price=62.45)
        entered = await order(running, alpha, side="buy", quantity=10, price=62.5, client_order_id=REQUEST_ID)
        await order(running, other, side="sell", quantity=5, price=62.6)
        names = {
            "$API_KEY": alpha,
            "$KEY": alpha,
            "$ADMIN_KEY": ADMIN_KEY,
            "ORD_67890": entered,
            "127.0.0.1:8000": f"127.0.0.1:{running.port}",
            "localhost:8000": f"127.0.0.1:{running.port}",
        }
        yield Game(running, names)


@pytest.mark.parametrize("title", SECTIONS)
async def test_reference_command_is_answered_as_printed(title: str, game: Game) -> None:
    """Each command of the reference succeeds, and its answer has the fields of the printed one."""
    blocks = dict(re.findall(r"```(sh|json)\n(.*?)```", SECTIONS[title], re.DOTALL))
    answer = await game.run(blocks["sh"].strip())
    assert answer.status_code == 200, answer.text
    if "json" in blocks:
        printed = json.loads(blocks["json"])
        assert missing(answer.json(), printed) == []


def missing(actual: Any, printed: Any, path: str = "") -> list[str]:
    """What the server says and the document does not; a map by instrument is compared by its values."""
    if isinstance(actual, dict) and isinstance(printed, dict):
        unknown = [f"{path}.{name}" for name in actual.keys() - printed.keys() - OPTIONAL]
        shared = actual.keys() & printed.keys()
        return unknown + [
            each for name in shared for each in missing(actual[name], printed[name], f"{path}.{name}")
        ]
    return []


OPTIONAL = {"client_order_id", "next_cursor", "cancel_reason", "stale"}


async def test_first_orders_of_the_documents_are_accepted(game: Game) -> None:
    """README and the top of the HTTP reference: a registration, and an order that may be sent twice."""
    top = (DOCS / "http.md").read_text().split("<!-- Below this line")[0]
    for text, name in ((README, "my-1"), (top, "first")):
        register, enter, *_ = curls(text)
        registered = await game.run(register.replace("Alpha", f"Alpha {name}"))
        assert registered.status_code == 200, registered.text
        key = registered.json()["data"]["api_key"]
        enter = enter.replace("$API_KEY", key).replace("$KEY", key)
        first, second = [await game.run(enter) for _ in range(2)]
        assert first.status_code == second.status_code == 200
        assert first.json()["order_id"] == second.json()["order_id"]
        assert second.json()["data"]["duplicate"] is True


async def test_error_of_the_documents_is_the_one_that_comes() -> None:
    """errors.md prints a refusal: code, message and details are those of the server."""
    printed = json.loads(re.findall(r"```json\n(.*?)```", (DOCS / "errors.md").read_text(), re.DOTALL)[0])
    async with ws_exchange() as running:
        buyer, seller = (
            await running.team("Buyer", "market_maker"),
            await running.team("Seller", "market_maker"),
        )
        await order(running, seller, side="sell", quantity=45, price=62.4)
        await order(running, buyer, side="buy", quantity=45, price=62.4)
        body = {"instrument_id": OPTION, "side": "buy", "quantity": 100, "price": 62.4}
        answer = (await running.send("POST", "/exchange/orders", buyer, json=body)).json()
    assert (answer["success"], answer["error"]) == (printed["success"], printed["error"])
    assert answer.keys() == printed.keys()


def test_documents_name_files_that_exist() -> None:
    """A path in backticks leads to a file, a folder or a module of the repository."""
    for page in (ROOT / "README.md", *DOCS.rglob("*.md")):
        for path in re.findall(r"`((?:exchange|tests|bench|docs)/[\w./-]*)`", page.read_text()):
            assert (ROOT / path).exists(), f"{page.name}: {path}"

"""docs/coming-from.md: our names are names of the exchange, and its examples run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from exchange.api.reference.asyncapi import asyncapi_document
from exchange.api.reference.openapi import openapi_document
from exchange.api.routes.table import OPERATIONS
from exchange.model.types import CancelReason
from tests.support.programs import run_program
from tests.support.ws_exchange import ws_exchange

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "coming-from.md").read_text()
TABLES = re.findall(r"((?:^\|.*\n)+)", PAGE, re.MULTILINE)

OF_THE_GAME = {"wait", "resume_from", "epoch", "client:", "X-API-Key", "Z"}


def _json(document: dict[str, Any]) -> Any:
    return json.loads(msgspec.json.encode(document))


def _names(thing: Any) -> Iterator[str]:
    """Properties, parameters, headers, values and constants anywhere in a document."""
    if isinstance(thing, dict):
        for key, value in thing.items():
            if key in ("properties", "headers", "x-error-codes", "messages") and isinstance(value, dict):
                yield from value
            if key == "enum":
                yield from (each for each in value if isinstance(each, str))
            if key in ("const", "name", "title", "address") and isinstance(value, str):
                yield value
            yield from _names(value)
    elif isinstance(thing, list):
        for each in thing:
            yield from _names(each)


def _known() -> set[str]:
    paths = {f"{each.method} {each.path}" for each in OPERATIONS}
    documents = (_json(openapi_document(OPERATIONS)), _json(asyncapi_document(OPERATIONS)))
    channels = {"book.{instrument}", "trades.{instrument}"}
    names = {name for document in documents for name in _names(document)}
    return paths | names | channels | {each.value for each in CancelReason} | OF_THE_GAME


def _ours(table: str) -> Iterator[str]:
    """What stands in backticks in the columns whose heading says ``here``, and in such a heading."""
    heading, _, *rows = [line.strip("|").split("|") for line in table.splitlines()]
    places = [place for place, cell in enumerate(heading) if "here" in cell or "event" in cell]
    for cells in (heading, *rows):
        assert len(cells) == len(heading), cells
        for place in places:
            yield from re.findall(r"`(.+?)`", cells[place])


def test_coming_from_names_of_ours_are_names_of_the_exchange() -> None:
    """Every field, value, code, method, path and channel of the last columns exists."""
    ours = {name for table in TABLES for name in _ours(table)}
    assert len(ours) > 80
    assert ours - _known() == set()


def test_coming_from_finds_a_name_that_is_none() -> None:
    """The comparison can fail."""
    assert "cancel_taker" in _known()
    assert not {"EXPIRE_TAKER", "private/buy", "label_of_nothing"} & _known()


@pytest.mark.parametrize("kind", ["bash", "json", "python"])
def test_coming_from_examples_are_tested_below(kind: str) -> None:
    """One session of each kind, and no block that nothing runs."""
    assert PAGE.count(f"```{kind}") == (0 if kind == "bash" else 1)
    assert PAGE.count("```") == 4


async def test_coming_from_session_is_understood() -> None:
    """Each request of the page is answered with a result, and the orders do what the page says."""
    block = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    async with ws_exchange() as running:
        socket, _ = await running.socket(await running.team(role="market_maker"))
        results = []
        for line in block[1].splitlines():
            request = json.loads(line)
            results.append(await socket.result(request["method"], **request["params"]))
        assert results[4]["data"]["quantity"] == 3
        assert results[5]["data"]["status"] == "cancelled"
        assert results[6]["data"]["status"] == "cancelled"


async def test_coming_from_program_runs() -> None:
    """It prints what became of its order."""
    block = re.search(r"```python\n# coming_from\.py\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    async with ws_exchange() as running:
        printed = await run_program(block[1], running.port)
    assert len(printed) == 2
    assert re.fullmatch(r"open: ORD_\d+ OrderStatus.OPEN", printed[0])
    assert printed[1] == "ended: my-1 3 CancelReason.REQUESTED"

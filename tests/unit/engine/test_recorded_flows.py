"""Recorded flows and book cases: any correct book gives these reports."""

import hashlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bench.flows import RECORDED, FlowPlayer, Message, read_flow
from exchange.model.presets import FLOW_INSTRUMENT
from exchange.model.types import Side

ACTIONS = {"new": "new", "cancel": "cancel", "modify": "amend"}


@cache
def _cases(folder: Path) -> list[dict[str, Any]]:
    document: dict[str, list[dict[str, Any]]] = json.loads((folder / "book_cases.json").read_text())
    return document["cases"]


def _message(seq: int, fields: dict[str, Any]) -> Message:
    if fields["op"] == "cancel":
        return Message(seq, "cancel", fields["id"])
    side, immediate = Side(fields.get("side", "buy")), fields.get("ioc", False)
    return Message(seq, ACTIONS[fields["op"]], fields["id"], side, fields["price"], fields["qty"], immediate)


def _digest(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


@pytest.mark.parametrize("index", range(34))
def test_book_case(shared_data: Path, index: int) -> None:
    """Reports, their hash, and best prices with quantities after every message are those recorded."""
    case = _cases(shared_data)[index]
    player = FlowPlayer()
    lines: list[str] = []
    for seq, (fields, state) in enumerate(zip(case["messages"], case["state"], strict=True)):
        lines += player.play(_message(seq, fields))
        best = player.venue.best(FLOW_INSTRUMENT)
        now = [best.bid_ticks, best.ask_ticks, best.bid_quantity, best.ask_quantity]
        assert now == state, f"{case['name']}, message {seq}"
    assert lines == case["reports"], case["name"]
    assert _digest(lines) == case["sha256"]


def test_book_cases_are_all_played(shared_data: Path) -> None:
    """No case is added to the data and left out here."""
    assert len(_cases(shared_data)) == 34


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_flow(shared_data: Path, name: str) -> None:
    """The reports of a whole flow have the recorded hash."""
    player = FlowPlayer()
    messages = read_flow(shared_data / f"flow_{name}.csv.gz")
    assert _digest([line for message in messages for line in player.play(message)]) == RECORDED[name]

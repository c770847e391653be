"""Identifiers as clients see them; opaque outside, numbers inside."""

from __future__ import annotations

import re
from typing import Annotated

import msgspec

ClientOrderId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,36}\Z")]
"""Made by the client, unique per team. FIX ClOrdID (11)."""

Label = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._-]{1,36}\Z")]
"""Made by the client, shared by as many orders as it likes: a name for them all."""

_NAME = r"^[A-Za-z0-9._-]{1,36}\Z"
QuoteGroup = Annotated[str, msgspec.Meta(pattern=_NAME)]
"""Made by the client: quotes that are protected and cancelled together."""
DEFAULT_GROUP = "default"

CLIENT_PREFIX = "client:"
"""``/exchange/orders/client:<client_order_id>`` names an order by the client's own id."""

_GROUP = re.compile(_NAME)
_ORDER = re.compile(r"ORD_([1-9][0-9]{0,17})\Z")
_TEAM = re.compile(r"TEAM_([1-9][0-9]{0,8})\Z")
_TRADE = re.compile(r"TRD_([1-9][0-9]{0,17})\Z")
_ACT = re.compile(r"ACT_([1-9][0-9]{0,17})\Z")
_EXECUTION = re.compile(r"EXE_([1-9][0-9]{0,17})\Z")


def order_id_text(number: int) -> str:
    """What clients call an order."""
    return f"ORD_{number}"


def team_id_text(account: int) -> str:
    """What clients call an account."""
    return f"TEAM_{account}"


def trade_id_text(number: int) -> str:
    """What clients call a trade."""
    return f"TRD_{number}"


def exec_id_text(number: int) -> str:
    """What clients call one side's half of a trade."""
    return f"EXE_{number}"


def auction_id_text(number: int | None) -> str | None:
    """What clients call an auction: all trades of one instrument that share it were one uncross."""
    return None if number is None else f"AUC_{number}"


def act_id_text(sequence: int) -> str:
    """What operators call an act."""
    return f"ACT_{sequence}"


def is_quote_group(text: str) -> bool:
    """Whether a group of quotes may be called this."""
    return _GROUP.match(text) is not None


def order_number(text: str) -> int | None:
    """The number of an order id, None when the text is not one."""
    return _number(_ORDER, text)


def team_number(text: str) -> int | None:
    """The account of a team id, None when the text is not one."""
    return _number(_TEAM, text)


def trade_number(text: str) -> int | None:
    """The number of a trade id, None when the text is not one."""
    return _number(_TRADE, text)


def exec_number(text: str) -> int | None:
    """The number of an execution id, None when the text is not one."""
    return _number(_EXECUTION, text)


def act_number(text: str) -> int | None:
    """The sequence of an act id, None when the text is not one."""
    return _number(_ACT, text)


def _number(pattern: re.Pattern[str], text: str) -> int | None:
    match = pattern.match(text)
    return int(match[1]) if match else None

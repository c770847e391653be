"""What an exchange says about itself beforehand, and which of its rules would change a flow's reports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final, TypeAlias

import msgspec

from exchange.client import HttpTransport, Phase, Retries
from exchange.client.caller import Caller
from exchange.client.calls import book, read
from exchange.flow.errors import Unreproducible
from exchange.flow.recording import TICK_SIZE, Recording
from exchange.model.presets import FLOW_INSTRUMENT
from exchange.model.rules import ClosingCancels
from exchange.model.types import OrderType, SelfTradePrevention
from exchange.wire import data


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Where a flow is to be played: one instrument, one role, and what holds for them now."""

    status: data.GameStatus
    rules: data.GameRulesView
    role: data.RoleView
    instrument: data.InstrumentView
    book: data.Orderbook


async def read_terms(url: str, instrument_id: str | None = None, role: str | None = None) -> Terms:
    """Ask the exchange at ``url``; raises ExchangeError, and Unreproducible without such instrument or role.

    Without ``instrument_id`` the one flows are recorded for, else the first; without ``role`` an open one,
    if possible without constraints.
    """
    transport = HttpTransport(url)
    caller = Caller(transport, None, Retries(), Random(0))
    try:
        rules = await caller.safely(read("/game/rules", data.GameRulesView))
        listed = await caller.safely(read("/exchange/instruments", data.InstrumentList))
        instrument = _instrument(listed.instruments, instrument_id)
        return Terms(
            status=await caller.safely(read("/game/status", data.GameStatus)),
            rules=rules,
            role=_role(rules.roles, role),
            instrument=instrument,
            book=await caller.safely(book(instrument.instrument_id, 1)),
        )
    finally:
        await transport.close()


def broken_rules(terms: Terms, recording: Recording) -> list[str]:
    """Every rule that the API tells and under which other reports are to be expected."""
    return list(_broken_rules(terms, recording))


def _broken_rules(terms: Terms, recording: Recording) -> Iterator[str]:
    instrument, status = terms.instrument, terms.status
    name = instrument.instrument_id
    if status.phase is not Phase.CONTINUOUS or status.halted_by_failure:
        phase = "halted by a failure" if status.halted_by_failure else status.phase.value
        yield f"market phase: the market is {phase}, not continuous"
    if instrument.tick_size != TICK_SIZE:
        yield f"tick grid: {name} has ticks of {instrument.tick_size}, the flow counts in {TICK_SIZE}"
    yield from _bands(instrument, recording)
    if terms.rules.self_trade_prevention is not SelfTradePrevention.NONE:
        prevention = terms.rules.self_trade_prevention.value
        yield f"self-trade prevention: it is {prevention}, orders of one client would not trade"
    if terms.rules.closing_cancels is ClosingCancels.ALL:
        yield "close of the market: it cancels every order, so none may be good till cancelled"
    for constraint in terms.role.constraints:
        if not _is_harmless(constraint, terms, recording):
            parameters = ", ".join(f"{key} {value}" for key, value in constraint.parameters.items())
            about = f" ({parameters})" if parameters else ""
            yield f"role constraint: {terms.role.role} has {constraint.type}{about}"
    if terms.book.bids or terms.book.asks:
        yield f"empty book: orders are at rest in {name}"


def _bands(instrument: data.InstrumentView, recording: Recording) -> Iterator[str]:
    low, high = (ticks * TICK_SIZE for ticks in recording.price_range)
    low_band, high_band = instrument.low_band, instrument.high_band
    if low_band is None or high_band is None:
        return
    if low < low_band or high > high_band:
        yield (
            f"price bands: {instrument.instrument_id} takes {low_band} to {high_band} now,"
            f" the flow has {low:.3f} to {high:.3f}"
        )


def _is_harmless(constraint: data.ConstraintView, terms: Terms, recording: Recording) -> bool:
    parameters = constraint.parameters
    if not _concerns(parameters, terms.instrument):
        return True
    judge = _JUDGES.get(constraint.type)
    return judge is not None and judge(parameters, terms.instrument.instrument_id, recording)


def _concerns(parameters: Parameters, instrument: data.InstrumentView) -> bool:
    kinds, instruments = parameters.get("kinds"), parameters.get("instruments")
    if kinds is not None and instrument.kind.value not in kinds:
        return False
    return instruments is None or instrument.instrument_id in instruments


def _instrument(found: list[data.InstrumentView], wanted: str | None) -> data.InstrumentView:
    by_id = {each.instrument_id: each for each in found}
    if wanted is None:
        return by_id.get(FLOW_INSTRUMENT, found[0])
    if wanted not in by_id:
        raise Unreproducible([f"instruments: there is no {wanted}"])
    return by_id[wanted]


def _role(found: list[data.RoleView], wanted: str | None) -> data.RoleView:
    if wanted is not None:
        for role in found:
            if wanted == role.role or wanted in role.aliases:
                return role
        raise Unreproducible([f"roles: there is no {wanted}"])
    candidates = [role for role in found if role.open]
    if not candidates:
        raise Unreproducible(["roles: none is open, teams cannot be registered"])
    return min(candidates, key=lambda role: len(role.constraints))


def _allows_prices(parameters: Parameters, instrument_id: str, recording: Recording) -> bool:
    low, high = (ticks * TICK_SIZE for ticks in recording.price_range)
    return bool(parameters["min_price"] <= low and high <= parameters["max_price"])


def _allows_sizes(parameters: Parameters, instrument_id: str, recording: Recording) -> bool:
    smallest, largest = recording.quantity_range
    return bool(parameters["min_size"] <= smallest and largest <= parameters["max_size"])


Parameters: TypeAlias = dict[str, Any]

_JUDGES: Final[dict[str, Callable[[Parameters, str, Recording], bool]]] = {
    "position_limit": lambda given, _, recording: given["max_position"] >= recording.total_quantity,
    "portfolio_limit": lambda given, _, recording: given["max_total_position"] >= recording.total_quantity,
    "order_size": _allows_sizes,
    "order_rate": lambda given, _, recording: given["max_orders_per_second"] >= len(recording.messages),
    "order_type_allowed": lambda given, _, __: OrderType.LIMIT.value in given["allowed_types"],
    "instrument_allowed": lambda given, instrument_id, _: instrument_id in given["allowed_instruments"],
    "price_range": _allows_prices,
    "trading_window": lambda given, _, __: Phase.CONTINUOUS.value in given["allowed_phases"],
}
"""Whether a constraint with these parameters can refuse nothing of a recording; one not listed can."""

"""Plays a flow: a message when everything about the one before has reached every client."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from exchange.client import ExchangeClient, NotFound, OrderReceipt, OrderStatus, Rejected, WaitFor
from exchange.flow.arrivals import Arrivals, Expected
from exchange.flow.errors import FlowFailed, Unreproducible
from exchange.flow.recording import Action, Message
from exchange.flow.report import Kind, ReportStream
from exchange.model.instrument import Instrument
from exchange.model.reasons import Code
from exchange.model.types import CancelReason
from exchange.wire.data import InstrumentView
from exchange.wire.prices import PriceGrid

RULES: Final[dict[str, str]] = {
    Code.PRICE_NOT_ON_TICK: "tick grid",
    Code.PRICE_OUT_OF_RANGE: "price range",
    Code.PRICE_OUT_OF_BAND: "price bands",
    Code.MARKET_CLOSED: "market phase",
    CancelReason.SELF_TRADE.value: "self-trade prevention",
    CancelReason.PORTFOLIO_LIMIT.value: "role constraint",
    CancelReason.TEAM_DISABLED.value: "the operator disabled a team",
    CancelReason.MARKET_CLOSE.value: "market phase",
}
"""The rule behind a code or a reason; any other refusal is the work of a role's constraint."""

_NO_RULE: Final = (401, 403, 404)
_OWN_FAULTS: Final = frozenset((Code.INVALID_REQUEST, Code.BAD_JSON, Code.CLIENT_ORDER_ID_REUSED))

_EXPECTED_REASONS: Final = frozenset(
    (CancelReason.REQUESTED, CancelReason.IOC_REMAINDER, CancelReason.NO_LIQUIDITY)
)


class Player:
    """Each order belongs to one of ``clients``, whose private streams are open.

    Everything about a message must arrive within ``wait_s`` of its answer.
    """

    def __init__(self, clients: Sequence[ExchangeClient], instrument: InstrumentView, wait_s: float) -> None:
        self.reports = ReportStream()
        self._clients = clients
        self._instrument_id = instrument.instrument_id
        self._grid = _grid(instrument)
        self._wait_s = wait_s
        self._filled: dict[str, int] = {}
        self._seq = 0
        self._arrivals = Arrivals(self._owner)
        for number, client in enumerate(clients):
            client.on_event(self._arrivals.listener(number))

    async def play(self, message: Message) -> None:
        """Send one message and report what came of it.

        Raises ExchangeError, FlowFailed, and Unreproducible where the exchange applied a rule of its own.
        """
        self._seq = message.seq
        self._arrivals.clear()
        name = str(message.order_id)
        client = self._clients[self._owner(name)]
        try:
            match message.action:
                case Action.NEW:
                    await self._enter(client, name, message)
                case Action.CANCEL:
                    await self._cancel(client, name)
                case Action.AMEND:
                    await self._amend(client, name, message)
        except Rejected as error:
            if error.status in _NO_RULE or error.code in _OWN_FAULTS:
                raise
            rule = RULES.get(error.code, "role constraint")
            raise Unreproducible([f"{rule}: message {self._seq} was refused, {error}"]) from None
        except FlowFailed as error:
            raise FlowFailed(f"message {self._seq}: {error}") from None

    def _owner(self, name: str) -> int:
        return int(name) % len(self._clients)

    async def _enter(self, client: ExchangeClient, name: str, message: Message) -> None:
        receipt = await client.order(
            self._instrument_id,
            message.side,
            message.quantity,
            price=self._grid.decimal(message.price_ticks),
            time_in_force=message.time_in_force,
            client_order_id=name,
            wait=WaitFor.SETTLEMENT,
        )
        filled, cancelled = _state(receipt)
        await self._complete(Expected(name, acknowledged=True, filled=filled, cancelled=cancelled))

    async def _cancel(self, client: ExchangeClient, name: str) -> None:
        try:
            await client.cancel(client_order_id=name)
        except NotFound as error:
            await self._refused(Kind.CANCEL_REFUSED, Code.CANCEL_FAILED, name, error)
        else:
            await self._complete(Expected(name, cancelled=True))

    async def _amend(self, client: ExchangeClient, name: str, message: Message) -> None:
        filled_before = self._filled.get(name, 0)
        total = filled_before + message.quantity
        price = self._grid.decimal(message.price_ticks)
        try:
            receipt = await client.amend(client_order_id=name, quantity=total, price=price)
        except NotFound as error:
            await self._refused(Kind.AMEND_REFUSED, Code.AMEND_FAILED, name, error)
            return
        filled, cancelled = _state(receipt)
        await self._complete(
            Expected(name, filled=filled - filled_before, cancelled=cancelled, amended=True), filled_before
        )

    async def _complete(self, expected: Expected, filled_before: int = 0) -> None:
        await self._arrivals.complete(expected, self._wait_s)
        self._report(filled_before)

    async def _refused(self, kind: Kind, code: Code, name: str, error: NotFound) -> None:
        if error.code != code:
            raise error
        await self._complete(Expected(name))
        self.reports.refused(kind, self._seq, name)

    # --- reports --------------------------------------------------------------------------------

    def _report(self, filled_before: int) -> None:
        arrived, reports, seq = self._arrivals, self.reports, self._seq
        for ack in arrived.acks:
            name = ack.client_order_id or ""
            reports.acknowledged(seq, ack.side, name, self._ticks(ack.price), ack.quantity)
        for fill in arrived.fills:
            maker = arrived.makers[fill.trade_id]
            if (maker.price, maker.quantity, maker.side) != (fill.price, fill.quantity, fill.side.opposite):
                raise FlowFailed(f"the two halves of {fill.trade_id} differ: {maker} and {fill}")
            maker_id, taker_id = maker.client_order_id or "", fill.client_order_id or ""
            for name in (maker_id, taker_id):
                self._filled[name] = self._filled.get(name, 0) + fill.quantity
            reports.traded(seq, self._ticks(fill.price), fill.quantity, maker_id, taker_id)
        for cancelled in arrived.cancels:
            if cancelled.reason not in _EXPECTED_REASONS:
                reason = cancelled.reason.value
                rule = RULES.get(reason, "role constraint")
                raise Unreproducible([f"{rule}: message {seq} ended in a cancellation, reason {reason}"])
            name = cancelled.client_order_id or ""
            reports.cancelled(seq, cancelled.side, name, self._ticks(cancelled.price))
        for amended in arrived.amends:
            name = amended.client_order_id or ""
            asked = amended.quantity - filled_before
            reports.amended(seq, amended.side, name, self._ticks(amended.price), asked)

    def _ticks(self, price: float | None) -> int:
        ticks = None if price is None else self._grid.ticks(price)
        if ticks is None:
            raise FlowFailed(f"an event has the price {price}, which is not on the grid")
        return ticks


def _state(receipt: OrderReceipt) -> tuple[int, bool]:
    """Lots filled so far, and whether the order was cancelled."""
    if receipt.filled_quantity is None:
        raise FlowFailed(f"the answer does not say what became of the order: {receipt}")
    return receipt.filled_quantity, receipt.status is OrderStatus.CANCELLED


def _grid(instrument: InstrumentView) -> PriceGrid:
    return PriceGrid(
        Instrument(
            instrument_id=instrument.instrument_id,
            kind=instrument.kind,
            tick_size=str(instrument.tick_size),
            multiplier=instrument.multiplier,
            first_price_ticks=1,
        )
    )

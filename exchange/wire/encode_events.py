"""From what happened, in integers, to what clients read: private events as messages, messages as bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from exchange.model import events as domain
from exchange.model.instrument import MONEY_PER_UNIT, Instrument
from exchange.wire import events as wire
from exchange.wire.ids import auction_id_text, exec_id_text, order_id_text, trade_id_text
from exchange.wire.prices import PriceGrid, money_decimal
from exchange.wire.terms import shown_terms
from exchange.wire.times import time_text


class Encoding(Enum):
    """How the messages of one socket are written; the values are the subprotocols."""

    JSON = "exchange.json"
    MSGPACK = "exchange.msgpack"

    @property
    def is_text(self) -> bool:
        """Text frames, else binary ones."""
        return self is Encoding.JSON


ENCODERS: Final[dict[Encoding, Callable[[Any], bytes]]] = {
    Encoding.JSON: msgspec.json.Encoder().encode,
    Encoding.MSGPACK: msgspec.msgpack.Encoder().encode,
}


class PrivateEventWriter:
    """Turns private events into messages, with the tick grids of the game's instruments."""

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self._grids: dict[str, PriceGrid] = {}
        self._unit_values: dict[str, int] = {}
        for instrument in instruments:
            self._grids[instrument.instrument_id] = PriceGrid(instrument)
            self._unit_values[instrument.instrument_id] = instrument.multiplier * MONEY_PER_UNIT
        self._writers: dict[type, Callable[[Any], wire.AnyEvent]] = {
            domain.NewOrderAck: self._new_order_ack,
            domain.OrderTriggered: self._order_triggered,
            domain.ExecutionReport: self._execution_report,
            domain.OrderAmended: self._order_amended,
            domain.OrderCancelled: self._order_cancelled,
            domain.PositionUpdate: self._position_update,
        }

    def message(self, event: domain.AnyPrivateEvent) -> wire.AnyEvent:
        """The message of one private event; prices and money become decimals."""
        return self._writers[type(event)](event)

    def _price(self, instrument_id: str, price_ticks: int | None) -> float | None:
        return None if price_ticks is None else self._grids[instrument_id].decimal(price_ticks)

    def _new_order_ack(self, event: domain.NewOrderAck) -> wire.NewOrderAck:
        message = wire.NewOrderAck(
            seq=event.seq,
            timestamp=time_text(event.timestamp_us),
            order_id=order_id_text(event.order_id),
            request_id=event.request_id,
            instrument_id=event.instrument_id,
            side=event.side,
            order_type=event.order_type,
            time_in_force=event.time_in_force,
            quantity=event.quantity,
            price=self._price(event.instrument_id, event.price_ticks),
            client_order_id=event.client_order_id,
        )
        if event.terms is None:
            return message
        grid, stop_price_ticks = self._grids[event.instrument_id], event.terms.stop_price_ticks
        return replace(message, **shown_terms(event.terms, grid, stop_price_ticks))

    def _order_triggered(self, event: domain.OrderTriggered) -> wire.OrderTriggered:
        return wire.OrderTriggered(
            seq=event.seq,
            timestamp=time_text(event.timestamp_us),
            order_id=order_id_text(event.order_id),
            request_id=event.request_id,
            instrument_id=event.instrument_id,
            side=event.side,
            quantity=event.quantity,
            price=self._price(event.instrument_id, event.price_ticks),
            client_order_id=event.client_order_id,
        )

    def _execution_report(self, event: domain.ExecutionReport) -> wire.ExecutionReport:
        return wire.ExecutionReport(
            seq=event.seq,
            timestamp=time_text(event.timestamp_us),
            order_id=order_id_text(event.order_id),
            request_id=event.request_id,
            instrument_id=event.instrument_id,
            side=event.side,
            exec_id=exec_id_text(event.exec_id),
            trade_id=trade_id_text(event.trade_id),
            price=self._grids[event.instrument_id].decimal(event.price_ticks),
            quantity=event.quantity,
            liquidity_type=event.liquidity,
            fees=money_decimal(event.fees),
            filled_quantity=event.filled_quantity,
            remaining_quantity=event.remaining_quantity,
            client_order_id=event.client_order_id,
            auction_id=auction_id_text(event.auction_id),
        )

    def _order_amended(self, event: domain.OrderAmended) -> wire.OrderAmended:
        return wire.OrderAmended(
            seq=event.seq,
            timestamp=time_text(event.timestamp_us),
            order_id=order_id_text(event.order_id),
            request_id=event.request_id,
            instrument_id=event.instrument_id,
            side=event.side,
            quantity=event.quantity,
            filled_quantity=event.filled_quantity,
            remaining_quantity=event.remaining_quantity,
            price=self._price(event.instrument_id, event.price_ticks),
            client_order_id=event.client_order_id,
            stop_price=self._price(event.instrument_id, event.stop_price_ticks),
            reason="self_trade" if event.is_self_trade else None,
        )

    def _order_cancelled(self, event: domain.OrderCancelled) -> wire.OrderCancelled:
        return wire.OrderCancelled(
            seq=event.seq,
            timestamp=time_text(event.timestamp_us),
            order_id=order_id_text(event.order_id),
            request_id=event.request_id,
            instrument_id=event.instrument_id,
            side=event.side,
            cancelled_quantity=event.cancelled_quantity,
            filled_quantity=event.filled_quantity,
            reason=event.reason,
            price=self._price(event.instrument_id, event.price_ticks),
            client_order_id=event.client_order_id,
        )

    def _position_update(self, event: domain.PositionUpdate) -> wire.PositionUpdate:
        lots = event.position * self._unit_values[event.instrument_id]
        return wire.PositionUpdate(
            seq=event.seq,
            timestamp=time_text(event.timestamp_us),
            instrument_id=event.instrument_id,
            position=event.position,
            realised_pnl=money_decimal(event.realised_pnl),
            cash=money_decimal(event.cash),
            fees=money_decimal(event.fees),
            average_price=event.cost / lots if lots else None,
        )

"""How a private stream begins: what the team has and has open, as settle knows it now."""

from __future__ import annotations

from exchange.api.views import order_view
from exchange.base.clock import Clock
from exchange.services.orders.register import OrderRegister
from exchange.services.positions.ledger import Ledger
from exchange.services.settlement.settlement import Settlement
from exchange.wire.events import PositionSnapshot
from exchange.wire.orders import PriceGrids
from exchange.wire.prices import money_decimal
from exchange.wire.times import time_text


class PositionSnapshots:
    """Reads the services at once, between two commands: all of a snapshot is of one moment."""

    def __init__(
        self,
        register: OrderRegister,
        ledger: Ledger,
        settlement: Settlement,
        grids: PriceGrids,
        clock: Clock,
    ) -> None:
        self._register = register
        self._ledger = ledger
        self._streams = settlement.streams
        self._grids = grids
        self._clock = clock

    def of(self, account: int) -> PositionSnapshot:
        """Positions of every instrument ever traded; orders in flight are open, with status ``accepted``."""
        lines = self._ledger.positions(account)
        orders = self._register.open_orders(account)
        return PositionSnapshot(
            seq=self._streams.last(account),
            timestamp=time_text(self._clock.now_us()),
            positions={instrument_id: line.position for instrument_id, line in lines.items()},
            cash=money_decimal(self._ledger.cash(account)),
            fees=money_decimal(self._ledger.fees(account)),
            open_orders=[order_view(order, self._grids[order.command.instrument_id]) for order in orders],
        )

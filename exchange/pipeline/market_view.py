"""What has been published of one instrument: the state that all its channels are made from.

It follows the venue's events and never asks the venue, so that no channel tells of what is not published yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from exchange.engine.auction import Clearing, clearing
from exchange.engine.depth import BookEvent, DepthView, Level
from exchange.engine.order_view import OrderView, PlaceChange, RestingLots
from exchange.engine.tape import Tape
from exchange.model.events import DisplayChanged
from exchange.model.phases import PHASES
from exchange.model.types import Phase, Side
from exchange.pipeline.ladder import Ladder
from exchange.wire.prices import PriceGrid

_BUY, _SELL = Side.BUY, Side.SELL


class MarketView:
    """Begins with the orders at ``resting``, in priority, and the trades on ``tape``, which it goes on.

    ``reference_ticks`` is the last trade's price, before any the first price of the instrument.
    """

    def __init__(
        self,
        grid: PriceGrid,
        resting: Iterable[RestingLots],
        tape: Tape,
        *,
        reference_ticks: int,
        phase: Phase,
        reason: str = "start",
    ) -> None:
        orders = list(resting)
        self.grid = grid
        self.instrument_id = grid.instrument_id
        self.tape = tape
        self.phase, self.reason = phase, reason
        self.is_call = PHASES[phase].is_call
        """Whether orders wait for an auction."""
        self.orders = OrderView(orders)
        self.bid_changes: dict[int, int] = {}
        self.ask_changes: dict[int, int] = {}
        self.place_changes: Sequence[PlaceChange] = ()
        self._first_ticks = reference_ticks
        # Kept from when somebody first asks: until then every order pays for its place alone.
        self._depth: DepthView | None = None
        self._ladders: tuple[Ladder, Ladder] | None = None
        # Lots of icebergs that are not shown, by price: an auction fills them too.
        self._hidden: dict[Side, dict[int, int]] = {_BUY: {}, _SELL: {}}
        for order in orders:
            self._hide(order.side, order.price_ticks, order.hidden)

    def take(self, events: Sequence[BookEvent]) -> None:
        """Take what one command did to this book."""
        self.orders.apply(events)
        for event in events:
            if isinstance(event, DisplayChanged):
                self._hide(event.side, event.price_ticks, -event.quantity)
        if self._depth is None:
            return
        changes = self._depth.apply(events)
        if self._ladders is not None:
            bids, asks = self._ladders
            for side, price_ticks, quantity in changes:
                (bids if side is _BUY else asks).put(price_ticks, quantity)

    def turn(self) -> None:
        """A turn of the loop is over: what it changed is in ``bid_changes``, ``ask_changes``,
        ``place_changes``.
        """
        if self._ladders is not None:
            bids, asks = self._ladders
            self.bid_changes, self.ask_changes = bids.take_changes(), asks.take_changes()
        self.place_changes = self.orders.take_changes()

    @property
    def bids(self) -> Ladder:
        """The side to buy, kept in order from when somebody first asks."""
        return self._lit_ladders()[0]

    @property
    def asks(self) -> Ladder:
        """The side to sell."""
        return self._lit_ladders()[1]

    @property
    def reference_ticks(self) -> int:
        """What an auction rounds towards, and the mark while a side is empty."""
        last = self.tape.last_ticks
        return self._first_ticks if last is None else last

    @property
    def best(self) -> tuple[Level | None, Level | None]:
        """Best bid and offer with their lots."""
        bids, asks = self.bids.best(1), self.asks.best(1)
        return (bids[0] if bids else None), (asks[0] if asks else None)

    def indicative(self) -> Clearing | None:
        """What an uncross would come to now; None where no call is on, or nothing would trade."""
        if not self.is_call:
            return None
        shown = self._lit_depth().totals
        bids, asks = (_sum(lots, self._hidden[side]) for side, lots in zip((_BUY, _SELL), shown, strict=True))
        return clearing(bids, asks, self.reference_ticks)

    def _hide(self, side: Side, price_ticks: int, lots: int) -> None:
        hidden = self._hidden[side]
        left = hidden.pop(price_ticks, 0) + lots
        if left:
            hidden[price_ticks] = left

    def _lit_depth(self) -> DepthView:
        if self._depth is None:
            self._depth = DepthView(self.instrument_id, *self.orders.totals())
        return self._depth

    def _lit_ladders(self) -> tuple[Ladder, Ladder]:
        if self._ladders is None:
            bids, asks = self._lit_depth().totals
            self._ladders = Ladder(_BUY, bids), Ladder(_SELL, asks)
        return self._ladders


def _sum(shown: Mapping[int, int], hidden: Mapping[int, int]) -> Mapping[int, int]:
    if not hidden:
        return shown
    return {**shown, **{price: shown.get(price, 0) + lots for price, lots in hidden.items()}}

"""The public channels of instruments whose books begin empty, or where a venue stands."""

from __future__ import annotations

from collections.abc import Iterable

from exchange.engine.order_view import RestingLots
from exchange.engine.tape import Tapes
from exchange.model.instrument import Instrument
from exchange.model.phases import MarketPhases
from exchange.model.types import Phase
from exchange.pipeline.market_feeds import MarketFeeds, Markets
from exchange.pipeline.market_view import MarketView
from exchange.wire.prices import PriceGrid

EPOCH = "e1"


def open_view(
    instrument: Instrument,
    tapes: Tapes,
    resting: Iterable[RestingLots] = (),
    phase: Phase = Phase.CONTINUOUS,
) -> MarketView:
    """What is published of one instrument."""
    return MarketView(
        PriceGrid(instrument),
        resting,
        tapes.of(instrument.instrument_id),
        reference_ticks=instrument.first_price_ticks,
        phase=phase,
    )


def empty_markets(instruments: Iterable[Instrument], phase: Phase = Phase.CONTINUOUS) -> Markets:
    """Every channel of ``instruments``, with nothing in them."""
    given = list(instruments)
    tapes = Tapes((each.instrument_id for each in given), daily=True)
    feeds = [MarketFeeds(open_view(each, tapes, phase=phase), EPOCH, 0) for each in given]
    return Markets(feeds, tapes, MarketPhases(phase))

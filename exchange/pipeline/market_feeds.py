"""All public channels: what the venue did, taken as it is published, and who has news of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from exchange.base.bounds import BOOK_DEPTHS
from exchange.engine.depth import BOOK_EVENTS, BookEvent
from exchange.engine.tape import Tape, Tapes
from exchange.model.commands import Record, SetPhase
from exchange.model.events import AnyVenueEvent, PhaseChanged, Traded
from exchange.model.phases import MarketPhases
from exchange.model.types import Interval
from exchange.pipeline.book_feed import BookFeed, OrdersFeed
from exchange.pipeline.core import Core
from exchange.pipeline.market_view import MarketView
from exchange.pipeline.state_feeds import CandlesFeed, StatusFeed, TickerFeed
from exchange.pipeline.streams import PublicFeed, TradesFeed
from exchange.wire.orders import price_grids


class MarketFeeds:
    """The channels of one instrument, all made from one ``view``."""

    def __init__(
        self, view: MarketView, epoch: str, now_us: int, depths: Sequence[int] = BOOK_DEPTHS
    ) -> None:
        self.view = view
        self.trades = TradesFeed(view.grid)
        self._of_book: tuple[PublicFeed, ...] = (
            BookFeed(view, epoch, now_us),
            *(BookFeed(view, epoch, now_us, levels, f".{levels}") for levels in depths),
            OrdersFeed(view, epoch, now_us),
            TickerFeed(view, now_us),
            StatusFeed(view, now_us),
        )
        of_trades = (self.trades, *(CandlesFeed(view, interval, now_us) for interval in Interval))
        self.channels = (*of_trades, *self._of_book)
        for feed in self.channels:
            feed.on_lit = self._light
        self._lit: dict[PublicFeed, None] = {}
        self._has_begun = self._has_traded = self._traded_ever = False

    def take(self, events: Sequence[BookEvent], timestamp_us: int) -> None:
        """Take what one command did to this instrument."""
        view, trades = self.view, self.trades
        for event in events:
            if isinstance(event, Traded):
                self._has_traded = self._traded_ever = True
                view.tape.traded(event.price_ticks, event.quantity, timestamp_us)
                if trades.is_kept:
                    trades.add(event, timestamp_us)
        view.take(events)

    def turn(self) -> list[PublicFeed]:
        """The turn of the loop is over: the channels that may have news of it and that somebody hears."""
        self._has_begun = True
        self.view.turn()
        traded, self._has_traded = self._has_traded, False
        return [feed for feed in self._lit if traded or feed in self._of_book]

    def _light(self, feed: PublicFeed) -> None:
        self._lit[feed] = None
        if self._has_begun if feed in self._of_book else self._traded_ever:
            feed.pass_over()


class Markets:
    """Every instrument. ``tapes`` and ``phases`` stand where the views do, and go on with them."""

    def __init__(self, feeds: Iterable[MarketFeeds], tapes: Tapes, phases: MarketPhases) -> None:
        self._feeds = {each.view.instrument_id: each for each in feeds}
        self._tapes = tapes
        self._phases = phases
        self._touched: dict[MarketFeeds, None] = {}

    def channels(self) -> Iterator[PublicFeed]:
        """Those of all instruments; where two have one name the last counts."""
        for position in range(max((len(each.channels) for each in self._feeds.values()), default=0)):
            yield from (each.channels[position] for each in self._feeds.values())

    def tape(self, instrument_id: str) -> Tape:
        """The trades of one instrument, as far as they are published."""
        return self._tapes.of(instrument_id)

    def take(self, record: Record, events: Iterable[AnyVenueEvent]) -> None:
        """Take what the venue made of one command, or one slice of it."""
        by_instrument: dict[str, list[BookEvent]] = {}
        for event in events:
            if isinstance(event, BOOK_EVENTS):
                by_instrument.setdefault(event.instrument_id, []).append(event)
            elif isinstance(event, PhaseChanged):
                self._take_phase(event, record)
        for instrument_id, of_book in by_instrument.items():
            feeds = self._feeds[instrument_id]
            self._touched[feeds] = None
            feeds.take(of_book, record.timestamp_us)

    def turn(self) -> Iterator[PublicFeed]:
        """The turn of the loop is over: the channels that may have news of it, each to be asked now."""
        touched, self._touched = self._touched, {}
        for feeds in touched:
            yield from feeds.turn()

    def _take_phase(self, event: PhaseChanged, record: Record) -> None:
        assert isinstance(record.command, SetPhase)
        phases = self._phases
        phases.apply(record.command, record.timestamp_us)
        if event.instrument_id is None:
            self._tapes.enter(event.phase)
        for instrument_id, feeds in self._feeds.items():
            if event.instrument_id in (None, instrument_id):
                feeds.view.phase = phases.of(instrument_id)
                feeds.view.reason = phases.reason_of(instrument_id)
                feeds.view.is_call = phases.is_call(instrument_id)
                self._touched[feeds] = None


def open_markets(core: Core, tapes: Tapes, epoch: str, now_us: int) -> Markets:
    """Every channel where a replay left the venue of ``core``; nothing is kept of what was before."""
    venue, phases = core.venue, core.admission.phases.copy()
    feeds = []
    for instrument_id, grid in price_grids(core.rules.instruments).items():
        view = MarketView(
            grid,
            venue.resting(instrument_id),
            tapes.of(instrument_id),
            reference_ticks=venue.reference(instrument_id),
            phase=phases.of(instrument_id),
            reason=phases.reason_of(instrument_id),
        )
        view.is_call = phases.is_call(instrument_id)
        feeds.append(MarketFeeds(view, epoch, now_us))
    return Markets(feeds, tapes, phases)

"""The venue around its books: phases, reading, state."""

import msgspec
import pytest

from exchange.engine import endings
from exchange.engine.book import MAX_SEQUENCE
from exchange.engine.venue import Venue, VenueStatistics
from exchange.model.commands import (
    AcceptLoss,
    AmendOrder,
    AnyCommand,
    CancelOrder,
    CancelOrders,
    CancelScope,
    DisableTeam,
    ExpireOrders,
    NewOrder,
    OpenGame,
    OrderTerms,
    Record,
    RegisterTeam,
    RotateKey,
    SetPhase,
    Uncross,
    Void,
)
from exchange.model.events import Acknowledged, Cancelled, PhaseChanged
from exchange.model.presets import preset_rules
from exchange.model.rules import ClosingCancels, GameRules
from exchange.model.types import CancelReason, OrderType, Phase, SelfTradePrevention, Side, TimeInForce
from tests.oracle.actions import rules


def _order(
    account: int, side: Side, price: int | None, quantity: int = 1, instrument_id: str = "X"
) -> NewOrder:
    order_type = OrderType.MARKET if price is None else OrderType.LIMIT
    return NewOrder(account, instrument_id, side, order_type, price, quantity, TimeInForce.GTC, None, "")


def _venue(*commands: AnyCommand, game: GameRules | None = None) -> Venue:
    venue = Venue(game or rules(SelfTradePrevention.CANCEL_TAKER))
    for sequence, command in enumerate(commands, start=1):
        venue.apply(Record(sequence, 0, command))
    return venue


def _state(venue: Venue) -> bytes:
    return msgspec.msgpack.encode(venue.state())


@pytest.mark.parametrize("phase", [Phase.HALTED, Phase.CLOSED])
@pytest.mark.parametrize("command", [_order(1, Side.BUY, 99), AmendOrder(1, 1, "X", 5, None, "")])
def test_venue_matches_in_continuous_alone(phase: Phase, command: AnyCommand) -> None:
    """An order or amend that validate should have refused is a bug, not a trade."""
    venue = _venue(_order(1, Side.BUY, 99), SetPhase(phase, "test"))
    before = _state(venue)
    with pytest.raises(AssertionError):
        venue.apply(Record(3, 0, command))
    assert _state(venue) == before


def test_venue_starts_continuous_and_tells_phases() -> None:
    """Each phase command is an event, with its reason."""
    venue = _venue()
    phases = [venue.phase]
    events = venue.apply(Record(1, 0, SetPhase(Phase.HALTED, "lunch")))
    phases.append(venue.phase)
    assert phases == [Phase.CONTINUOUS, Phase.HALTED]
    assert events == [PhaseChanged(Phase.HALTED, "lunch")]


@pytest.mark.parametrize(
    "command",
    [
        OpenGame(rules(SelfTradePrevention.NONE)),
        RegisterTeam("ann", "market_maker", b"", ""),
        RotateKey(1, b"", ""),
        Void(1, ""),
        AcceptLoss(1, "", ""),
    ],
    ids=lambda command: type(command).__name__,
)
def test_venue_passes_over_other_commands(command: AnyCommand) -> None:
    """What is not about orders leaves the venue as it was and makes no event."""
    venue = _venue(_order(1, Side.BUY, 99))
    before = _state(venue)
    assert venue.apply(Record(2, 0, command)) == []
    assert _state(venue) == before


@pytest.mark.parametrize("sequence", [0, MAX_SEQUENCE + 1])
def test_venue_asserts_its_sequences(sequence: int) -> None:
    """A sequence outside the room an entry has for it would disturb prices."""
    with pytest.raises(AssertionError):
        _venue().apply(Record(sequence, 0, _order(1, Side.BUY, 99)))


def test_state_knows_nothing_of_what_is_gone() -> None:
    """Two ways to the same orders in the same places have the same state, dead heap entries or not."""
    short = _venue(_order(1, Side.BUY, 99, 3))
    long = _venue(
        _order(1, Side.BUY, 99, 3),
        _order(2, Side.BUY, 98, 5),
        _order(2, Side.BUY, 97, 5),
        CancelOrder(2, 3, "X", ""),
        CancelOrder(2, 2, "X", ""),
        CancelOrder(3, 9, "X", ""),
    )
    assert long.statistics().dead_entries > 0
    assert _state(long) == _state(short)


@pytest.mark.parametrize(
    "other",
    [
        [_order(1, Side.BUY, 98, 3)],
        [_order(2, Side.BUY, 99, 3)],
        [_order(1, Side.SELL, 99, 3)],
        [_order(1, Side.BUY, 99, 3, "Y")],
        [_order(1, Side.BUY, 99, 4), AmendOrder(1, 1, "X", 3, None, ""), _order(2, Side.SELL, 99)],
        [_order(1, Side.BUY, 99, 3), SetPhase(Phase.HALTED, "")],
        [_order(1, Side.BUY, 98, 3), AmendOrder(1, 1, "X", None, 99, "")],
    ],
)
def test_state_tells_different_venues_apart(other: list[AnyCommand]) -> None:
    """Price, account, side, instrument, fills, phase and place are all in the state."""
    assert _state(_venue(*other)) != _state(_venue(_order(1, Side.BUY, 99, 3)))


def test_reference_is_the_last_trade() -> None:
    """Before any trade the reference is the first price; each instrument has its own."""
    venue = _venue(_order(1, Side.SELL, 90, 2))
    assert venue.reference("X") == 100
    venue.apply(Record(2, 0, _order(2, Side.BUY, 95)))
    assert venue.reference("X") == 90
    assert venue.reference("Y") == 100
    assert venue.band("X") is None


def test_option_band_follows_its_underlying() -> None:
    """An option's market order is priced at the edge of a band that moves with the underlying's trades."""
    game = preset_rules("small")
    option = next(each for each in game.instruments if each.underlying_id == "SPX")
    name, first = option.instrument_id, option.first_price_ticks
    venue = Venue(game)
    before = venue.band(name)
    width = max(first // 5, 440_000 // 50, 10)
    assert before == (max(1, first - width), first + width)
    venue.apply(Record(1, 0, _order(1, Side.SELL, 500_000, 1, "SPX")))
    venue.apply(Record(2, 0, _order(2, Side.BUY, 500_000, 1, "SPX")))
    width = max(first // 5, 500_000 // 50, 10)
    assert venue.band(name) == (max(1, first - width), first + width)
    acknowledged, cancelled = venue.apply(Record(3, 0, _order(1, Side.BUY, None, 1, name)))
    assert isinstance(acknowledged, Acknowledged)
    assert isinstance(cancelled, Cancelled)
    assert acknowledged.price_ticks == cancelled.price_ticks == first + width


def test_statistics_count_live_and_dead() -> None:
    """Sizes are those of all books together."""
    venue = _venue(
        _order(1, Side.BUY, 99),
        _order(1, Side.BUY, 98),
        _order(1, Side.SELL, 101, 1, "Y"),
        CancelOrder(1, 2, "X", ""),
    )
    assert venue.statistics() == VenueStatistics(live_orders=2, heap_entries=3, dead_entries=1)


@pytest.mark.parametrize(
    "command",
    [
        CancelOrders(1, (CancelScope(),), CancelReason.REQUESTED, ""),
        DisableTeam(1, True, "", ""),
        ExpireOrders(1),
        SetPhase(Phase.CLOSED, ""),
    ],
)
@pytest.mark.parametrize("closing", ClosingCancels)
def test_many_orders_end_in_slices_by_number(
    monkeypatch: pytest.MonkeyPatch, closing: ClosingCancels, command: AnyCommand
) -> None:
    """However many a command ends, no slice has more than its share."""
    monkeypatch.setattr(endings, "AUCTION_SLICE", 3)
    terms, day = OrderTerms(expires_at_us=1), TimeInForce.DAY
    orders = [
        msgspec.structs.replace(
            _order(1, Side.BUY, 90 + each, 1, "XY"[each % 2]), terms=terms, time_in_force=day
        )
        for each in range(8)
    ]
    venue = _venue(*orders, game=rules(SelfTradePrevention.NONE, closing))
    slices = list(venue.steps(Record(9, 1, command)))
    ended = [[each.order_id for each in some if isinstance(each, Cancelled)] for some in slices]
    assert [each for each in ended if each] == [[1, 2, 3], [4, 5, 6], [7, 8]]
    assert venue.statistics().live_orders == 0


@pytest.mark.parametrize(
    "command",
    [
        CancelOrders(1, (CancelScope(),), CancelReason.REQUESTED, ""),
        DisableTeam(1, True, "", ""),
        DisableTeam(1, False, "", ""),
        Uncross("X"),
    ],
)
def test_command_without_effect_has_one_empty_slice(command: AnyCommand) -> None:
    """Who waits for its answer is told by the last slice."""
    assert list(_venue().steps(Record(1, 0, command))) == [[]]

"""Market-maker protection: what counts, when it fires, what it ends, when a group is free again."""

from __future__ import annotations

import msgspec
import pytest

from exchange.base.bounds import MAX_PROTECTION_FILLS
from exchange.engine.protection import (
    FOR_EVER,
    Counted,
    Protection,
    Protections,
    ProtectionsSnapshot,
)
from exchange.engine.venue import Venue
from exchange.model.commands import (
    AmendOrder,
    AnyCommand,
    CancelOrder,
    NewOrder,
    OrderTerms,
    Record,
    SetPhase,
    SetProtection,
)
from exchange.model.events import Acknowledged, AmendRefused, AnyVenueEvent, Cancelled, Traded
from exchange.model.types import CancelReason, OrderType, Phase, SelfTradePrevention, Side, TimeInForce
from tests.oracle.actions import rules

MAKER, TAKER = 1, 2
BUY, SELL = Side.BUY, Side.SELL
FIRED = CancelReason.MARKET_MAKER_PROTECTION


def _set(
    fills: int | None = 2, lots: int | None = None, window_us: int = 100, frozen_us: int = 0, group: str = "g"
) -> SetProtection:
    return SetProtection(MAKER, group, fills, lots, window_us, frozen_us, "r")


def _side(
    side: Side, price: int, lots: int = 10, instrument_id: str = "X", group: str | None = "g"
) -> NewOrder:
    terms = None if group is None else OrderTerms(quote_group=group)
    return NewOrder(
        MAKER, instrument_id, side, OrderType.LIMIT, price, lots, TimeInForce.DAY, None, "q", terms
    )


def _take(side: Side, price: int, lots: int = 1, instrument_id: str = "X") -> NewOrder:
    return NewOrder(TAKER, instrument_id, side, OrderType.LIMIT, price, lots, TimeInForce.IOC, None, "t")


class Floor:
    """A venue whose commands come at times that the test says."""

    def __init__(self, *commands: AnyCommand) -> None:
        self.venue = Venue(rules(SelfTradePrevention.CANCEL_TAKER))
        self.sequence = 0
        for command in commands:
            self.at(0, command)

    def at(self, now_us: int, command: AnyCommand) -> list[AnyVenueEvent]:
        self.sequence += 1
        return self.venue.apply(Record(self.sequence, now_us, command))

    def hit(self, now_us: int, lots: int = 1) -> bool:
        """Trade with the bid; whether that fired."""
        return any(isinstance(each, Cancelled) and each.reason is FIRED for each in self._hit(now_us, lots))

    def _hit(self, now_us: int, lots: int) -> list[AnyVenueEvent]:
        events = self.at(now_us, _take(SELL, 99, lots))
        assert any(isinstance(event, Traded) for event in events)
        return events


QUOTED = (_side(BUY, 99), _side(SELL, 101))


@pytest.mark.parametrize(
    ("fills", "lots", "window_us", "hits", "fired"),
    [
        (1, None, 100, [(5, 1)], [True]),
        (2, None, 100, [(0, 1), (99, 1)], [False, True]),
        (2, None, 100, [(0, 1), (100, 1)], [False, False]),
        (2, None, 100, [(0, 1), (100, 1), (199, 1)], [False, False, True]),
        (3, None, 100, [(0, 1), (60, 1), (110, 1), (159, 1)], [False, False, False, True]),
        (2, None, 1, [(0, 1), (0, 1)], [False, True]),
        (None, 5, 100, [(0, 4), (50, 1)], [False, True]),
        (None, 5, 100, [(0, 4), (100, 4), (150, 1)], [False, False, True]),
        (None, 5, 100, [(0, 6)], [True]),
        (9, 3, 100, [(0, 1), (1, 1), (2, 1)], [False, False, True]),
        (2, 9, 100, [(0, 1), (1, 1)], [False, True]),
    ],
)
def test_protection_fires_at_the_bound_within_the_window(
    fills: int | None, lots: int | None, window_us: int, hits: list[tuple[int, int]], fired: list[bool]
) -> None:
    """The fill that makes it ``fills`` or ``lots``; one that is a whole window old does not count."""
    floor = Floor(_set(fills, lots, window_us), *QUOTED)
    assert [floor.hit(*hit) for hit in hits] == fired


def test_protection_ends_the_group_in_all_instruments_and_nothing_else() -> None:
    """Sides in order of their numbers, after the trade; other groups and plain orders of the maker stay."""
    floor = Floor(
        _set(fills=1),
        _side(BUY, 99),
        _side(SELL, 102, instrument_id="Y"),
        _side(SELL, 103, group="other"),
        _side(SELL, 104, group=None),
    )
    acknowledged, traded, *ended = floor.at(1, _take(SELL, 99, 2))
    assert [type(event) for event in (acknowledged, traded)] == [Acknowledged, Traded]
    assert [(each.order_id, each.remaining) for each in ended if isinstance(each, Cancelled)] == [
        (2, 8),
        (3, 10),
    ]
    assert floor.venue.depth("X", 9).bids == ()
    assert floor.venue.depth("Y", 9).asks == ()
    assert [price for price, _ in floor.venue.depth("X", 9).asks] == [103, 104]


def test_protection_counts_every_fill_of_a_side_that_they_use_up() -> None:
    """A side that is filled whole by two orders at once was hit twice."""
    floor = Floor(_set(fills=3), _side(SELL, 102))
    for lots in (2, 3):
        floor.at(0, NewOrder(TAKER, "X", SELL, OrderType.LIMIT, 99, lots, TimeInForce.DAY, None, "t"))
    floor.at(1, _side(BUY, 99, 5))
    protection = floor.venue.protection(MAKER, "g")
    assert protection is not None
    assert protection.counted(1) == Counted(2, 5)
    assert isinstance(floor.at(2, _take(BUY, 102))[-1], Cancelled)


def test_protection_counts_fills_of_a_side_that_takes() -> None:
    """A quote that comes in and trades is hit as much as one that waits."""
    floor = Floor(_set(fills=1))
    floor.at(0, NewOrder(TAKER, "X", SELL, OrderType.LIMIT, 99, 1, TimeInForce.DAY, None, "t"))
    events = floor.at(1, _side(BUY, 99, 5))
    assert [type(event) for event in events] == [Acknowledged, Traded, Cancelled]
    assert floor.venue.depth("X", 9).bids == ()


def test_protection_counts_amended_sides_as_the_same_group() -> None:
    """A side that was moved is still the group's; one that ended counts no more."""
    floor = Floor(_set(fills=2), *QUOTED)
    floor.at(0, AmendOrder(MAKER, 2, "X", 10, 98, "q"))
    events = floor.at(1, _take(SELL, 98))
    assert not any(isinstance(event, Cancelled) and event.reason is FIRED for event in events)
    floor.at(2, CancelOrder(MAKER, 2, "X", "q"))
    assert set(floor.venue._protections.orders) == {3}


def test_protection_forgets_a_side_that_was_filled() -> None:
    """Only live orders are watched; one that is left with lots is."""
    floor = Floor(_set(fills=9), *QUOTED)
    floor.hit(0, 9)
    assert set(floor.venue._protections.orders) == {2, 3}
    floor.hit(1, 1)
    assert set(floor.venue._protections.orders) == {3}


@pytest.mark.parametrize("frozen_us", [0, 50])
def test_protection_keeps_a_frozen_group_out(frozen_us: int) -> None:
    """New sides end at once with the reason, amends find nothing; free after the time, or once set anew."""
    floor = Floor(_set(fills=1, frozen_us=frozen_us), *QUOTED)
    assert floor.hit(10)
    assert floor.venue._protections.orders == {}
    acknowledged, cancelled = floor.at(11, _side(BUY, 98))
    assert isinstance(acknowledged, Acknowledged)
    assert isinstance(cancelled, Cancelled)
    assert cancelled.reason is FIRED
    assert isinstance(floor.at(11, AmendOrder(MAKER, 2, "X", 5, 98, "q"))[0], AmendRefused)
    assert floor.venue.is_frozen(MAKER, "g", 59)
    assert floor.venue.is_frozen(MAKER, "g", 60) is (frozen_us == 0)
    assert floor.venue.is_frozen(MAKER, "other", 11) is False
    assert floor.venue.is_frozen(TAKER, "g", 11) is False
    floor.at(12, _set(fills=1, frozen_us=frozen_us))
    assert floor.venue.is_frozen(MAKER, "g", 12) is False
    assert len(floor.at(13, _side(BUY, 99))) == 1
    assert floor.hit(14)


def test_protection_counts_anew_after_a_freeze() -> None:
    """What fired is not held against the group once it is free."""
    floor = Floor(_set(fills=2, window_us=1_000, frozen_us=5), *QUOTED)
    assert [floor.hit(0), floor.hit(1)] == [False, True]
    floor.at(6, _side(BUY, 99))
    assert [floor.hit(7), floor.hit(8)] == [False, True]


def test_protection_set_later_takes_the_live_quotes() -> None:
    """Also quotes from before are protected, and no longer once it is removed."""
    floor = Floor(*QUOTED, _set(fills=2))
    assert [floor.hit(0)] == [False]
    floor.at(1, _set(fills=None))
    assert floor.venue.protection(MAKER, "g") is None
    assert [floor.hit(1), floor.hit(2)] == [False, False]
    assert floor.venue._protections.orders == {}


def test_protection_does_not_count_an_auction() -> None:
    """An uncross may fill everything; the next fill in continuous trading is the first."""
    floor = Floor(_set(fills=1), SetPhase(Phase.HALTED, "t"), SetPhase(Phase.REOPENING, "t"), *QUOTED)
    floor.at(1, NewOrder(TAKER, "X", SELL, OrderType.LIMIT, 99, 3, TimeInForce.DAY, None, "t"))
    events = floor.at(2, SetPhase(Phase.CONTINUOUS, "t"))
    assert any(isinstance(event, Traded) for event in events)
    assert not any(isinstance(event, Cancelled) for event in events)
    assert floor.hit(3)


def test_protection_is_part_of_the_state() -> None:
    """What was counted, the freeze and whose orders are watched show in the state hash."""
    floor, states = Floor(), []
    for step in ((0, QUOTED[0]), (0, _set(fills=2)), (1, _take(SELL, 99)), (2, _take(SELL, 99))):
        floor.at(*step)
        states.append(msgspec.json.encode(floor.venue._protections.state()))
    assert len(set(states)) == 4


def test_protection_tells_what_its_window_holds() -> None:
    """Looking does not count: fills that left the window are left out."""
    protection = Protection(_set(fills=9, window_us=100))
    protection.count(0, 3)
    protection.count(50, 2)
    assert [protection.counted(now_us) for now_us in (50, 99, 100, 150)] == [
        Counted(2, 5),
        Counted(2, 5),
        Counted(1, 2),
        Counted(0, 0),
    ]
    protection.freeze(200)
    assert (protection.counted(200), protection.frozen_until_us) == (Counted(0, 0), FOR_EVER)


def test_protection_remembers_a_bounded_number_of_fills() -> None:
    """By lots alone too: as many fills as can be remembered are too many in any case."""
    protection = Protection(_set(fills=None, lots=1_000_000))
    assert [protection.count(0, 1) for _ in range(MAX_PROTECTION_FILLS)].index(
        True
    ) == MAX_PROTECTION_FILLS - 1


def test_protection_that_is_loaded_counts_and_keeps_out_as_before() -> None:
    """The fills within the window, their lots, the freeze and the orders that are watched."""
    floor = Floor(
        _set(fills=3, lots=9), _set(fills=1, group="h"), _side(SELL, 101), _side(SELL, 102, group="h")
    )
    floor.at(10, _take(BUY, 101, 4))
    floor.at(20, _take(BUY, 101, 1))
    loaded = Protections()
    encoded = msgspec.json.encode(floor.venue.snapshot().protections)
    loaded.load(msgspec.json.decode(encoded, type=ProtectionsSnapshot))
    assert msgspec.json.encode(loaded.state()) == msgspec.json.encode(floor.venue._protections.state())
    watched = loaded.of(MAKER, "g")
    assert watched is not None
    assert watched.counted(20) == Counted(2, 5)
    assert watched.count(30, 4), "4 lots more are 9"

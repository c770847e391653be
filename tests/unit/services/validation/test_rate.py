import pytest
from msgspec.structs import replace

from exchange.model.reasons import Category, Code
from exchange.model.roles import OrderRate
from exchange.model.types import Phase
from exchange.services.validation.proposal import Proposal
from exchange.services.validation.rate import RateWindow
from tests.unit.services.validation.fakes import ACCOUNT, NOW_US, OTHER_ACCOUNT, new_order


def at(time_us: int, account: int = ACCOUNT) -> Proposal:
    """An order so many microseconds after the start."""
    return Proposal(new_order(account=account), 10, NOW_US + time_us, Phase.CONTINUOUS)


@pytest.mark.parametrize(
    ("limit", "times_us", "passed"),
    [
        (1, [0, 999_999], [True, False]),
        (1, [0, 1_000_000], [True, True]),
        (2, [0, 0, 0], [True, True, False]),
        # A fixed window would let four through between 0.9 s and 1.1 s.
        (2, [900_000, 950_000, 1_050_000, 1_100_000], [True, True, False, False]),
        (2, [0, 600_000, 1_000_000, 1_500_000, 1_600_000], [True, True, True, False, True]),
        # What the rate refuses does not count, else a hasty team would never get through again.
        (1, [0, 500_000, 1_000_000], [True, False, True]),
    ],
)
def test_count_lets_no_second_hold_more(limit: int, times_us: list[int], passed: list[bool]) -> None:
    """Within any one second, both of whose ends do not count together, at most ``limit`` orders pass."""
    window = RateWindow(OrderRate(max_orders_per_second=limit))
    assert [window.count(at(time_us)) is None for time_us in times_us] == passed


def test_count_says_when_to_come_back() -> None:
    """The milliseconds are rounded up: waiting them is enough, and one microsecond less may not be."""
    window = RateWindow(OrderRate(max_orders_per_second=1))
    assert window.count(at(0)) is None
    refusal = window.count(at(400_001))
    assert refusal is not None
    assert (refusal.code, refusal.category) == (Code.ORDER_RATE_EXCEEDED, Category.TOO_FAST)
    assert (refusal.retry_after_ms, refusal.details) == (600, {"limit": 1})
    assert window.count(at(400_001 + 600_000)) is None


def test_count_keeps_teams_apart() -> None:
    """One team's haste is not another's."""
    window = RateWindow(OrderRate(max_orders_per_second=1))
    assert window.count(at(0)) is None
    assert window.count(at(0, OTHER_ACCOUNT)) is None
    assert window.count(at(1)) is not None


def test_count_recovers_within_a_second_of_a_clock_set_back() -> None:
    """What passed before counts as now: neither locked out for the hour gained, nor let off the limit."""
    window = RateWindow(OrderRate(max_orders_per_second=2))
    assert window.count(at(3_600_000_000)) is None
    assert window.count(at(3_600_000_000)) is None
    refusal = window.count(at(0))
    assert refusal is not None
    assert refusal.retry_after_ms == 1000
    assert window.count(at(999_999)) is not None
    assert window.count(at(1_000_000)) is None


def test_peek_judges_as_count_without_counting() -> None:
    """However often it is asked, a dry run takes no place in the window."""
    window = RateWindow(OrderRate(max_orders_per_second=1))
    for _ in range(3):
        assert window.peek(at(0)) is None
    assert window.count(at(0)) is None
    for _ in range(3):
        refusal = window.peek(at(999_999))
        assert refusal is not None
        assert refusal.retry_after_ms == 1
    assert window.peek(at(1_000_000)) is None
    assert window.count(at(1_000_000)) is None


def test_peek_after_a_clock_was_set_back_agrees_with_count() -> None:
    """A wait is never longer than a second."""
    window = RateWindow(OrderRate(max_orders_per_second=1))
    window.count(at(5_000_000))
    peeked = window.peek(at(0))
    assert peeked is not None
    assert peeked.retry_after_ms == 1000
    assert window.count(at(0)) == peeked


@pytest.mark.parametrize(
    ("limit", "counts", "passed"),
    [
        (2, [2, 1], [True, False]),
        (3, [2, 2, 1], [True, False, True]),
        (3, [1, 2, 0, 1], [True, True, True, False]),
        (2, [0, 0, 0, 2], [True, True, True, True]),
    ],
)
def test_count_takes_the_sides_of_a_quote_together(limit: int, counts: list[int], passed: list[bool]) -> None:
    """Two pass or none; a second side that was counted with the first counts for nothing."""
    window = RateWindow(OrderRate(max_orders_per_second=limit))
    assert [window.count(replace(at(0), orders=orders)) is None for orders in counts] == passed


def test_count_says_when_both_sides_of_a_quote_may_come_back() -> None:
    """Not when one place is free, but when two are."""
    window = RateWindow(OrderRate(max_orders_per_second=2))
    assert window.count(at(0)) is None
    assert window.count(at(300_000)) is None
    for now_us, retry_after_ms in ((500_000, 800), (1_100_000, 200)):
        refusal = window.count(replace(at(now_us), orders=2))
        assert refusal is not None
        assert refusal.retry_after_ms == retry_after_ms
    assert window.count(replace(at(1_300_000), orders=2)) is None

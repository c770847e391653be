"""A bot never goes faster than it may."""

from hypothesis import given
from hypothesis import strategies as st

from exchange.bots import Pace


class Time:
    """A monotonic time that the test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@given(
    per_second=st.integers(1, 8),
    role_limit=st.integers(1, 12),
    steps=st.lists(st.floats(0, 0.5), max_size=80),
)
def test_no_second_holds_more_than_allowed(per_second: int, role_limit: int, steps: list[float]) -> None:
    """In whatever rhythm it is asked: within any second, both ends included, at most as many as allowed."""
    time = Time()
    pace = Pace(time, per_second)
    pace.limit(role_limit)
    taken = []
    for step in steps:
        time.now_s += step
        if pace.take():
            taken.append(time.now_s)
    allowed = min(per_second, role_limit)
    for index, first in enumerate(taken):
        assert sum(first <= each <= first + 1.0 for each in taken[index:]) <= allowed


def test_pace_is_used_up_to_its_limit() -> None:
    """What is allowed may be taken at once, and again a little more than a second later."""
    time = Time()
    pace = Pace(time, 3)
    assert [pace.take() for _ in range(4)] == [True, True, True, False]
    time.now_s = 1.0
    assert not pace.take()
    time.now_s = 1.01
    assert [pace.take() for _ in range(4)] == [True, True, True, False]


def test_pace_takes_both_sides_of_a_quote_or_neither() -> None:
    """Two at once need two places; more than there ever are never pass."""
    time = Time()
    pace = Pace(time, 3)
    assert [pace.take(2), pace.take(2), pace.take(1), pace.take(0)] == [True, False, True, True]
    time.now_s = 1.01
    assert [pace.take(3), pace.take(1)] == [True, False]
    time.now_s = 3.0
    assert not pace.take(4)


def test_role_limit_leaves_a_margin() -> None:
    """Four fifths of what the role allows, at least one; a larger limit changes nothing."""
    for role_limit, allowed in ((5, 4), (1, 1), (100, 6)):
        time = Time()
        pace = Pace(time, 6)
        pace.limit(role_limit)
        assert sum(pace.take() for _ in range(10)) == allowed


def test_limit_counts_what_was_sent_before() -> None:
    """A limit learnt later applies to the second under way."""
    time = Time()
    pace = Pace(time, 10)
    for _ in range(5):
        pace.take()
    pace.limit(5)
    assert not pace.take()


def test_rest_is_kept() -> None:
    """Nothing until the longer of two rests is over."""
    time = Time()
    pace = Pace(time, 5)
    pace.rest(2.0)
    pace.rest(1.0)
    time.now_s = 1.5
    assert not pace.take()
    time.now_s = 2.0
    assert pace.take()

"""Token buckets, in virtual time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchange.api.rate_limits import RateLimiter, RateLimits
from exchange.config import LimitsConfig
from exchange.model.reasons import Category, Code

SECOND = 1_000_000_000


def test_bucket_lets_a_burst_through_and_refills_steadily() -> None:
    """Five at once, then one each tenth of a second; a refusal costs nothing."""
    limiter = RateLimiter(10, 5, "requests")
    assert [limiter.take("a", 0) for _ in range(5)] == [4, 3, 2, 1, 0]
    assert [limiter.take("a", 0) for _ in range(3)] == [-SECOND // 10] * 3
    assert limiter.take("a", SECOND // 10 - 1) == -1
    assert limiter.take("a", SECOND // 10) == 0
    assert limiter.take("a", 10 * SECOND) == 4


def test_bucket_is_of_its_key_alone() -> None:
    """What one uses up another still has."""
    limiter = RateLimiter(1, 1, "requests")
    assert [limiter.take(key, 0) >= 0 for key in ("a", "b", "a", 1, 2, 1)] == [True, True, False] * 2


@given(
    st.integers(1, 50), st.integers(1, 20), st.lists(st.integers(0, SECOND // 4), min_size=1, max_size=200)
)
def test_bucket_never_lets_more_through_than_it_says(rate: int, burst: int, waits: list[int]) -> None:
    """In any stretch of time: at most the burst and what was refilled meanwhile, and never less than due."""
    limiter = RateLimiter(rate, burst, "requests")
    now, let_through = SECOND, []
    for wait in waits:
        now += wait
        left = limiter.take("a", now)
        if left >= 0:
            let_through.append(now)
        else:
            assert limiter.take("a", now - left - 1) < 0
            now -= left
            assert limiter.take("a", now) == 0
            let_through.append(now)
    for first in range(len(let_through)):
        for last in range(first, len(let_through)):
            span = let_through[last] - let_through[first]
            assert last - first + 1 <= burst + span * rate / SECOND + 1e-6


def test_bucket_headers_say_what_is_left() -> None:
    """Size, what is left, and whole seconds until all is there again; never below zero."""
    limiter = RateLimiter(2, 5, "requests")
    told = [[value for _, value in limiter.headers(left)] for left in (5, 4, 0, -7, 4)]
    assert told == [
        [b"5", b"5", b"0"],
        [b"5", b"4", b"1"],
        [b"5", b"0", b"3"],
        [b"5", b"0", b"3"],
        [b"5", b"4", b"1"],
    ]


def test_bucket_refusal_says_when_to_come_back() -> None:
    """In milliseconds, rounded up: then the same request passes."""
    limiter = RateLimiter(3, 1, "orders")
    limiter.take("a", 0)
    refusal = limiter.refusal(limiter.take("a", 1))
    assert (refusal.category, refusal.code, refusal.retry_after_ms) == (
        Category.TOO_FAST,
        Code.RATE_LIMITED,
        334,
    )
    assert limiter.take("a", 1 + 334_000_000) == 0


def test_buckets_are_bounded() -> None:
    """Full ones are forgotten first, which changes nothing; else the oldest."""
    limiter = RateLimiter(1, 2, "requests", keys=3)
    for key in range(3):
        limiter.take(key, 0)
    limiter.take(3, 10 * SECOND)
    assert limiter.buckets == 1
    for key in range(100, 200):
        limiter.take(key, 10 * SECOND)
        assert limiter.buckets <= 3
    assert limiter.take(199, 10 * SECOND) == 0


def test_refusals_that_go_on_are_abuse() -> None:
    """So many within the window are borne; each key for itself, and the window moves on."""
    limits = RateLimits(LimitsConfig(refusals=3, refusals_window_s=6.0))
    assert [limits.goes_on("a", 0) for _ in range(4)] == [False, False, False, True]
    assert not limits.goes_on("b", 0)
    assert not limits.goes_on("a", 2 * SECOND)


@pytest.mark.parametrize("name", LimitsConfig.__struct_fields__)
def test_limits_have_defaults_no_client_meets(name: str) -> None:
    """More a second than one server answers."""
    value = getattr(LimitsConfig(), name)
    assert value >= 10_000 or name in ("enabled", "refusals", "refusals_window_s")

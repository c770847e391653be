"""A bench around one stage."""

from __future__ import annotations

import pytest

from tests.support.stages import Bench


@pytest.fixture
def bench() -> Bench:
    """A fresh bench."""
    return Bench()

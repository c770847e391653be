"""What a constraint judges."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from exchange.model.commands import NewOrder
from exchange.model.reasons import Refusal
from exchange.model.types import Phase


class Proposal(msgspec.Struct, gc=False):
    """An order as it would stand, with the lots it asks for: all of them, or the increase of an amend.

    ``orders`` is what it counts as towards the order rate: the first side of a quote counts for both.
    """

    order: NewOrder
    increase: int
    now_us: int
    phase: Phase
    orders: int = 1


Check: TypeAlias = Callable[[Proposal], Refusal | None]

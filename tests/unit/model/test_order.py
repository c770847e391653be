"""The life of an order: every pair of status and trigger."""

from __future__ import annotations

import pytest

from exchange.model.order import LIFE, IllegalTransition, OrderStatus, Trigger, next_status

TABLE = """
status            acknowledge  park         trigger  fill_partly       fill_fully  amend             cancel
accepted          open         untriggered  -        -                 -           -                 cancelled
untriggered       -            -            open     -                 -           untriggered       cancelled
open              -            -            -        partially_filled  filled      open              cancelled
partially_filled  -            -            -        partially_filled  filled      partially_filled  cancelled
filled            -            -            -        -                 -           filled            -
cancelled         -            -            -        -                 -           -                 -
"""


def _rows() -> list[tuple[OrderStatus, Trigger, str]]:
    header, *lines = [line.split() for line in TABLE.strip().splitlines()]
    return [
        (OrderStatus(line[0]), Trigger(trigger), outcome)
        for line in lines
        for trigger, outcome in zip(header[1:], line[1:], strict=True)
    ]


def test_life_table_walks_every_pair() -> None:
    """The table above names every pair there is."""
    assert {(status, trigger) for status, trigger, _ in _rows()} == {
        (status, trigger) for status in OrderStatus for trigger in Trigger
    }


@pytest.mark.parametrize(("status", "trigger", "outcome"), _rows())
def test_next_status_follows_the_table(status: OrderStatus, trigger: Trigger, outcome: str) -> None:
    """A pair leads where the table says, or raises."""
    if outcome == "-":
        with pytest.raises(IllegalTransition):
            next_status(status, trigger)
    else:
        assert next_status(status, trigger) is OrderStatus(outcome)


def test_final_statuses_have_no_way_out() -> None:
    """From a final status no trigger leads to another status."""
    assert all(after is status for (status, _), after in LIFE.items() if status.is_final)

"""The life of an order, as one table."""

from __future__ import annotations

from typing import Final

from exchange.base.enums import FastEnum


class OrderStatus(FastEnum):
    """FIX OrdStatus (39) in the words clients see."""

    ACCEPTED = "accepted"
    UNTRIGGERED = "untriggered"
    OPEN = "open"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self is OrderStatus.FILLED or self is OrderStatus.CANCELLED


class Trigger(FastEnum):
    """What can happen to an order after it was accepted."""

    ACKNOWLEDGE = "acknowledge"
    PARK = "park"
    TRIGGER = "trigger"
    FILL_PARTLY = "fill_partly"
    FILL_FULLY = "fill_fully"
    AMEND = "amend"
    CANCEL = "cancel"


_S, _T = OrderStatus, Trigger

LIFE: Final[dict[tuple[OrderStatus, Trigger], OrderStatus]] = {
    (_S.ACCEPTED, _T.ACKNOWLEDGE): _S.OPEN,
    # A venue may end an order before it was ever in the book (a halt by failure, a void).
    (_S.ACCEPTED, _T.CANCEL): _S.CANCELLED,
    # A stop waits beside the book until a trade triggers it.
    (_S.ACCEPTED, _T.PARK): _S.UNTRIGGERED,
    (_S.UNTRIGGERED, _T.TRIGGER): _S.OPEN,
    (_S.UNTRIGGERED, _T.AMEND): _S.UNTRIGGERED,
    (_S.UNTRIGGERED, _T.CANCEL): _S.CANCELLED,
    (_S.OPEN, _T.FILL_PARTLY): _S.PARTIALLY_FILLED,
    (_S.OPEN, _T.FILL_FULLY): _S.FILLED,
    (_S.OPEN, _T.AMEND): _S.OPEN,
    (_S.OPEN, _T.CANCEL): _S.CANCELLED,
    (_S.PARTIALLY_FILLED, _T.FILL_PARTLY): _S.PARTIALLY_FILLED,
    (_S.PARTIALLY_FILLED, _T.FILL_FULLY): _S.FILLED,
    (_S.PARTIALLY_FILLED, _T.AMEND): _S.PARTIALLY_FILLED,
    (_S.PARTIALLY_FILLED, _T.CANCEL): _S.CANCELLED,
    # ``order_amended`` is written after the trades of an amend, also when they filled the order.
    (_S.FILLED, _T.AMEND): _S.FILLED,
}


class IllegalTransition(Exception):
    """A bug: the venue reported something that cannot happen to an order in this status."""


def next_status(status: OrderStatus, trigger: Trigger) -> OrderStatus:
    """The status after ``trigger``; raises :class:`IllegalTransition` for a pair not in :data:`LIFE`."""
    try:
        return LIFE[status, trigger]
    except KeyError:
        raise IllegalTransition(f"{trigger.value} while {status.value}") from None

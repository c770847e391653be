"""Whose orders go when nobody watches them."""

from __future__ import annotations

import asyncio

import pytest

from exchange.base.clock import ManualClock
from exchange.model.commands import CancelOrders, CancelScope
from exchange.model.types import CancelReason
from exchange.pipeline.connection import Connection
from exchange.pipeline.guards import Guards
from exchange.pipeline.hub import Hub
from tests.support.sockets import FRAMERS, listener


class Desk:
    """Guards behind a hub, and what they submitted."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.submitted: list[CancelOrders] = []
        self.guards = Guards(self.submitted.append, self.clock)
        self.hub = Hub(FRAMERS, self.guards.lost)

    def socket(self, account: int = 1) -> Connection:
        """A socket of a team."""
        _, connection = listener(self.hub)
        connection.account = account
        return connection

    async def cancelled(self) -> list[tuple[int, CancelReason]]:
        """Teams whose orders were cancelled, and why."""
        await asyncio.sleep(0)
        assert all(command.scopes == (CancelScope(),) for command in self.submitted)
        return [(command.account, command.reason) for command in self.submitted]


@pytest.fixture
def desk() -> Desk:
    """No team watched yet."""
    return Desk()


async def test_guards_cancel_with_the_last_flagged_socket(desk: Desk) -> None:
    """Others of the team keep the orders alive as long as one of them is open."""
    first, second, plain = desk.socket(), desk.socket(), desk.socket()
    for socket in (first, second):
        desk.guards.watch(socket)
    assert desk.guards.sockets(1) == 2
    desk.hub.close(first, 4008, "too slow")
    assert await desk.cancelled() == []
    desk.hub.closed(second, lost=True)
    desk.hub.closed(second)
    desk.hub.closed(plain)
    assert await desk.cancelled() == [(1, CancelReason.DISCONNECTED)]
    assert desk.guards.sockets(1) == 0


async def test_guards_tell_teams_apart(desk: Desk) -> None:
    """A socket guards its own team's orders; one without a flag or without its flag guards nothing."""
    own, other, unflagged = desk.socket(1), desk.socket(2), desk.socket(3)
    desk.guards.watch(own)
    desk.guards.watch(other)
    desk.guards.watch(unflagged)
    desk.guards.unwatch(unflagged)
    desk.hub.close_team(2, 4003, "the key was replaced")
    desk.hub.close_team(3, 4003, "the key was replaced")
    assert await desk.cancelled() == [(2, CancelReason.DISCONNECTED)]
    assert desk.guards.watches(own)


async def test_guards_cancel_behind_what_the_socket_sent(desk: Desk) -> None:
    """Tasks that the socket's last messages began submit first: the cancel covers their orders."""
    socket = desk.socket()
    desk.guards.watch(socket)
    seen: list[int] = []

    async def submit_order() -> None:
        seen.append(len(desk.submitted))

    task = asyncio.create_task(submit_order())
    desk.hub.closed(socket)
    await task
    assert seen == [0]
    assert await desk.cancelled() == [(1, CancelReason.DISCONNECTED)]


async def test_guards_cancel_for_a_socket_that_went_while_it_asked(desk: Desk) -> None:
    """The flag is part of what came before its end; it has no effect while another socket watches."""
    gone, other = desk.socket(), desk.socket()
    desk.guards.watch(other)
    desk.hub.closed(gone)
    desk.guards.watch(gone)
    assert await desk.cancelled() == []
    desk.guards.unwatch(other)
    desk.guards.watch(gone)
    assert await desk.cancelled() == [(1, CancelReason.DISCONNECTED)]
    assert desk.guards.sockets(1) == 0


async def test_switch_expires_once_at_its_time(desk: Desk) -> None:
    """Not a moment before the timeout, once, and then it is off."""
    switch = desk.guards.arm(1, 1_500)
    assert switch.expires_at_us == desk.clock.now_us() + 1_500_000
    desk.clock.advance(1.499999)
    desk.guards.expire()
    assert desk.submitted == []
    desk.clock.advance(0.000001)
    desk.guards.expire()
    desk.guards.expire()
    assert await desk.cancelled() == [(1, CancelReason.DEAD_MAN_SWITCH)]
    assert desk.guards.switch(1) is None


async def test_switch_begins_anew_with_each_call(desk: Desk) -> None:
    """The last call counts, longer or shorter; each team has its own."""
    desk.guards.arm(1, 1_000)
    desk.guards.arm(2, 5_000)
    for _ in range(5):
        desk.clock.advance(0.9)
        desk.guards.arm(1, 1_000)
        desk.guards.expire()
    assert desk.submitted == []
    desk.guards.arm(1, 100)
    desk.clock.advance(0.1)
    desk.guards.expire()
    assert await desk.cancelled() == [(1, CancelReason.DEAD_MAN_SWITCH)]
    desk.clock.advance(0.5)
    desk.guards.disarm(2)
    desk.guards.expire()
    assert len(desk.submitted) == 1


def test_switch_stays_durable_when_it_is_armed_again(desk: Desk) -> None:
    """The journal hears of the first call alone; after expiry or disarming of the next one too."""
    desk.guards.arm(1, 1_000).is_durable = True
    assert desk.guards.arm(1, 2_000).is_durable
    desk.guards.disarm(1)
    assert not desk.guards.arm(1, 1_000).is_durable

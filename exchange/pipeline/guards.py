"""What cancels a team's orders when nobody watches them: its last flagged socket gone, its timer run out.

The journal knows which of the two a team has asked for (GuardOrders), so that a restart, which ends every
socket and timer, cancels as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from exchange.base.clock import Clock
from exchange.model.commands import CancelOrders, CancelScope
from exchange.model.types import CancelReason
from exchange.pipeline.connection import Connection

_EVERYWHERE = (CancelScope(),)


class Switch(msgspec.Struct):
    """A team's dead-man switch. ``is_durable``: the journal has that it was armed."""

    timeout_ms: int
    deadline_ns: int
    expires_at_us: int
    is_durable: bool = False


def cancel_unwatched(account: int, reason: CancelReason) -> CancelOrders:
    """The system command that a guard ends in; it also ends the guard."""
    return CancelOrders(account, _EVERYWHERE, reason)


class Guards:
    """Sockets and timers of all teams. ``submit`` enters a system command that is never coalesced: one that
    waits already would leave the orders entered since.
    """

    def __init__(self, submit: Callable[[CancelOrders], None], clock: Clock) -> None:
        self._submit = submit
        self._clock = clock
        self._sockets: dict[int, set[Connection]] = {}
        self._switches: dict[int, Switch] = {}

    # --- cancel on disconnect -------------------------------------------------------------------

    def watch(self, connection: Connection) -> None:
        """Flag a socket that is logged in. One that is gone by now had asked for it before it went."""
        account = connection.account
        assert account is not None
        if connection.is_open:
            self._sockets.setdefault(account, set()).add(connection)
        elif not self.sockets(account):
            self._cancel_soon(account)

    def unwatch(self, connection: Connection) -> None:
        """Take the flag away again."""
        account = connection.account
        sockets = None if account is None else self._sockets.get(account)
        if account is not None and sockets is not None:
            sockets.discard(connection)
            if not sockets:
                del self._sockets[account]

    def watches(self, connection: Connection) -> bool:
        """Whether this socket is flagged."""
        return connection.account is not None and connection in self._sockets.get(connection.account, ())

    def sockets(self, account: int) -> int:
        """Flagged sockets of the team."""
        return len(self._sockets.get(account, ()))

    def lost(self, connection: Connection) -> None:
        """A socket is gone, however it ended. The orders go with the last one that was flagged."""
        if not self.watches(connection):
            return
        self.unwatch(connection)
        account = connection.account
        assert account is not None
        if not self.sockets(account):
            self._cancel_soon(account)

    def _cancel_soon(self, account: int) -> None:
        # Orders that came over the socket before its end are still about to be submitted in this turn.
        command = cancel_unwatched(account, CancelReason.DISCONNECTED)
        asyncio.get_running_loop().call_soon(self._submit, command)

    # --- dead-man switch ------------------------------------------------------------------------

    def arm(self, account: int, timeout_ms: int) -> Switch:
        """Let the timer of the team run from now, whatever it stood at."""
        timeout_us = timeout_ms * 1_000
        deadline_ns = self._clock.monotonic_ns() + timeout_us * 1_000
        switch = Switch(timeout_ms, deadline_ns, self._clock.now_us() + timeout_us)
        before = self._switches.get(account)
        switch.is_durable = before is not None and before.is_durable
        self._switches[account] = switch
        return switch

    def disarm(self, account: int) -> None:
        """Stop the timer; harmless where there is none."""
        self._switches.pop(account, None)

    def switch(self, account: int) -> Switch | None:
        """The timer of the team, while it runs."""
        return self._switches.get(account)

    def expire(self) -> None:
        """Cancel for every team whose timer has run out; called a few times a second."""
        now_ns = self._clock.monotonic_ns()
        due = [account for account, switch in self._switches.items() if switch.deadline_ns <= now_ns]
        for account in due:
            del self._switches[account]
            self._submit(cancel_unwatched(account, CancelReason.DEAD_MAN_SWITCH))

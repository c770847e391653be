"""Places in the private streams: each team's events are numbered from 1, without gaps."""

from __future__ import annotations

from typing import TypeAlias

StreamNumbersSnapshot: TypeAlias = dict[int, int]


class StreamNumbers:
    """The same commands give the same numbers, on every replay."""

    def __init__(self) -> None:
        self._last: dict[int, int] = {}

    def take(self, account: int) -> int:
        """The number of the next event of ``account``."""
        number = self._last.get(account, 0) + 1
        self._last[account] = number
        return number

    def last(self, account: int) -> int:
        """The number of the last event of ``account``, 0 before any."""
        return self._last.get(account, 0)

    def state(self) -> object:
        """Canonical content for the state hash."""
        return sorted(self._last.items())

    def snapshot(self) -> StreamNumbersSnapshot:
        """Everything, to be encoded before the next command: it is not a copy."""
        return self._last

    def load(self, snapshot: StreamNumbersSnapshot) -> None:
        """Take over a snapshot."""
        self._last = snapshot

"""What a simulation did, or how it failed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


class SimulationFailed(AssertionError):
    """The exchange did what it must not; the message begins with how to see it again."""


@dataclass
class Report:
    """What a simulation did."""

    steps: int = 0
    records: int = 0
    lives: Counter[str] = field(default_factory=Counter)
    answers: Counter[str] = field(default_factory=Counter)
    commands: Counter[str] = field(default_factory=Counter)
    closed: Counter[int] = field(default_factory=Counter)
    """Sockets, by close code."""
    ended: Counter[str] = field(default_factory=Counter)
    """Orders that were not filled, by the reason."""
    received: int = 0
    snapshots: int = 0
    """Starts from one."""
    state_hash: str = ""
    """Of the last one."""

    def add(self, other: Report) -> None:
        self.steps += other.steps
        self.records += other.records
        self.lives += other.lives
        self.answers += other.answers
        self.commands += other.commands
        self.closed += other.closed
        self.ended += other.ended
        self.snapshots += other.snapshots
        self.received += other.received
        self.state_hash = other.state_hash

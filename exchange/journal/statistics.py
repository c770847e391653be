"""What a journal has written in this run, as metrics read it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from exchange.journal.batch import Batch

CommitObserver: TypeAlias = Callable[[float], None]
"""Told the seconds from append to durable, on the event loop, after each commit."""


class JournalStatistics(Struct, frozen=True):
    """Counts of this run. Commit times are from append to durable, as the event loop saw them."""

    batches: int
    records: int
    payload_bytes: int
    last_commit_s: float
    max_commit_s: float
    total_commit_s: float
    checkpoints: int
    max_checkpoint_s: float
    head_sequence: int
    failed: bool


class CommitTally:
    """Counts commits and tells the observer."""

    def __init__(self, observe_commit: CommitObserver | None) -> None:
        self._observe = observe_commit
        self._batches = 0
        self._records = 0
        self._payload_bytes = 0
        self._last_s = 0.0
        self._max_s = 0.0
        self._total_s = 0.0

    def add(self, batch: Batch, seconds: float) -> None:
        self._batches += 1
        self._records += batch.last_sequence - batch.first_sequence + 1
        self._payload_bytes += len(batch.payload)
        self._last_s = seconds
        self._max_s = max(self._max_s, seconds)
        self._total_s += seconds
        if self._observe is not None:
            self._observe(seconds)

    def statistics(
        self, *, head_sequence: int, failed: bool, checkpoints: int = 0, max_checkpoint_s: float = 0.0
    ) -> JournalStatistics:
        return JournalStatistics(
            batches=self._batches,
            records=self._records,
            payload_bytes=self._payload_bytes,
            last_commit_s=self._last_s,
            max_commit_s=self._max_s,
            total_commit_s=self._total_s,
            checkpoints=checkpoints,
            max_checkpoint_s=max_checkpoint_s,
            head_sequence=head_sequence,
            failed=failed,
        )

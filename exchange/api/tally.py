"""Answers by operation and status: a dict while serving, samples when somebody looks."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector


class AnswerTally(Collector):
    """Counts are bounded by operations times statuses; register it with the exchange's metrics."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, int], int] = {}

    def count(self, operation_id: str, status: int) -> None:
        """One more answer of ``operation_id`` with ``status``."""
        key = (operation_id, status)
        self._counts[key] = self._counts.get(key, 0) + 1

    def of(self, operation_id: str, status: int) -> int:
        """Answers so far."""
        return self._counts.get((operation_id, status), 0)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """What Prometheus scrapes."""
        family = CounterMetricFamily(
            "exchange_http_answers", "Answers over HTTP", labels=("operation", "status")
        )
        for (operation_id, status), number in sorted(self._counts.items()):
            family.add_metric((operation_id, str(status)), number)
        yield family

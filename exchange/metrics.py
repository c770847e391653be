"""What operators watch, in Prometheus' words. Each running exchange has a registry of its own."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from time import perf_counter
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import HistogramMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

_FAST: Final = (25e-6, 50e-6, 1e-4, 25e-5, 5e-4, 1e-3, 25e-4, 5e-3, 1e-2, 25e-3, 5e-2, 0.1, 0.25, 1.0, 5.0)
_BATCH: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Tally:
    """Observations by bucket; ``bounds`` are the largest value of each, the last bucket takes the rest."""

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total = 0.0

    def observe(self, value: float) -> None:
        """Count one observation."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._total += value

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """As Prometheus wants it: so many up to each bound."""
        bounds = [*(f"{float(bound)}" for bound in self._bounds), "+Inf"]
        family.add_metric(labels, list(zip(bounds, accumulate(self._counts), strict=True)), self._total)


class Tallies(Collector):
    """A histogram for the order path: a third of the cost of the library's, for want of locks."""

    def __init__(self, name: str, text: str, bounds: Sequence[float], label: str | None = None) -> None:
        self._name, self._text, self._bounds = f"exchange_{name}", text, bounds
        self._labels = () if label is None else (label,)
        self._by_value: dict[tuple[str, ...], Tally] = {}

    def of(self, *values: str) -> Tally:
        """The one with this value of the label, if there is a label."""
        return self._by_value.setdefault(values, Tally(self._bounds))

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """What Prometheus scrapes."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        for values, tally in self._by_value.items():
            tally.add_to(family, values)
        yield family


class StageMeter:
    """One stage: seconds and items per batch, failures."""

    def __init__(self, seconds: Tally, items: Tally, failures: Counter) -> None:
        self._seconds = seconds
        self._items = items
        self.failures = failures

    @contextmanager
    def batch(self, items: int) -> Iterator[None]:
        """Measure one synchronous batch of ``items``."""
        started = perf_counter()
        yield
        self._seconds.observe(perf_counter() - started)
        self._items.observe(items)


class Metrics:
    """Every metric of the server; docs/operations.md lists them."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._stage_seconds = self._tallies(
            "stage_batch_seconds", "Work of a stage on one batch", _FAST, "stage"
        )
        self._stage_items = self._tallies(
            "stage_batch_items", "Items in one batch of a stage", _BATCH, "stage"
        )
        self._stage_failures = self._counter("stage_failures", "Exceptions met by a stage", "stage")
        self.request_seconds = self._tallies(
            "request_seconds", "Registration to answer of a command", _FAST
        ).of()
        self.commit_seconds = self._tallies(
            "journal_commit_seconds", "One durable commit (fsync)", _FAST
        ).of()
        self.loop_lag_seconds = self._tallies(
            "loop_lag_seconds", "Delay of the event loop's timer", _FAST
        ).of()
        self.orders = self._counter("orders", "Orders settled")
        self.trades = self._counter("trades", "Trades made")
        self.rejections = self._counter("rejections", "Commands refused", "code")
        self.client_gone = self._counter("client_gone", "Requests whose client vanished before its answer")
        self.history_failures = self._counter("history_failures", "Reads of the past that failed")
        self.task_restarts = self._counter("task_restarts", "Tasks restarted after a failure", "task")

    def stage(self, name: str) -> StageMeter:
        """The meter of the stage called ``name``."""
        return StageMeter(
            self._stage_seconds.of(name),
            self._stage_items.of(name),
            self._stage_failures.labels(name),
        )

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A value that is read when somebody looks."""
        Gauge(f"exchange_{name}", text, registry=self.registry).set_function(read)

    def gauges(
        self, name: str, text: str, label: str, reads: Iterable[tuple[str, Callable[[], float]]]
    ) -> None:
        """Several values of one kind, told apart by ``label``."""
        gauge = Gauge(f"exchange_{name}", text, [label], registry=self.registry)
        for value, read in reads:
            gauge.labels(value).set_function(read)

    def exposition(self) -> bytes:
        """The text that ``/metrics`` answers."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"exchange_{name}", text, labels, registry=self.registry)

    def _tallies(self, name: str, text: str, bounds: Sequence[float], label: str | None = None) -> Tallies:
        tallies = Tallies(name, text, bounds, label)
        self.registry.register(tallies)
        return tallies

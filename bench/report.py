"""How figures are printed: each a ratio with its spread, its aim, and what was measured on which machine."""

from __future__ import annotations

import os
import platform
import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A ratio measured several times in one run; the median counts."""

    name: str
    values: list[float]
    at_least: float | None = None
    at_most: float | None = None

    @property
    def median(self) -> float:
        """What is quoted."""
        return statistics.median(self.values)

    def verdict(self) -> str:
        """Whether the aim is met, in words; empty without an aim."""
        if self.at_least is not None:
            return f"aim >= {self.at_least:g}: {'met' if self.median >= self.at_least else 'MISSED'}"
        if self.at_most is not None:
            return f"aim <= {self.at_most:g}: {'met' if self.median <= self.at_most else 'MISSED'}"
        return ""


def heading(title: str, mix: str) -> None:
    """Begin a section."""
    print(f"\n{title}\n  mix: {mix}")


def show(figure: Figure) -> None:
    """One line per figure."""
    low, high = min(figure.values), max(figure.values)
    print(f"  {figure.name:58} {figure.median:7.3f}  ({low:.3f}-{high:.3f})  {figure.verdict()}")


def machine() -> str:
    """What this ran on."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _cpu_lines() if line.startswith("model name")), "unknown"
    )
    system = f"{platform.system()} {platform.release()}"
    return f"{model}, {os.cpu_count()} cores, {system}, Python {platform.python_version()}"


def _cpu_lines() -> list[str]:
    try:
        with open("/proc/cpuinfo") as file:
            return file.readlines()
    except OSError:
        return []

"""Why a flow was not played to its end."""

from __future__ import annotations

from collections.abc import Sequence


class RecordingError(Exception):
    """The file is not a recorded flow; the message names the line."""


class FlowFailed(Exception):
    """Something that had to arrive did not, or something arrived that should not have."""


class Unreproducible(Exception):
    """The exchange has rules under which this flow gives other reports; ``rules`` names each."""

    def __init__(self, rules: Sequence[str]) -> None:
        super().__init__("; ".join(rules))
        self.rules = tuple(rules)

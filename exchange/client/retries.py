"""How often something is tried again, and how long to wait before."""

from __future__ import annotations

from random import Random

import msgspec

from exchange.base.bounds import MAX_RETRY_AFTER_S, REQUEST_ATTEMPTS


class Backoff(msgspec.Struct, frozen=True, kw_only=True):
    """Delays that double up to ``max_s``, each cut by up to half at random so that clients spread."""

    first_s: float = 0.05
    max_s: float = 5.0

    def delay_s(self, failures: int, rng: Random, retry_after_s: float | None = None) -> float:
        """Wait after the ``failures``-th failure in a row (1, 2, ...), at least what the exchange asked for.

        What it asks for counts up to ``MAX_RETRY_AFTER_S``.
        """
        delay_s = min(self.max_s, self.first_s * 2.0 ** min(failures - 1, 30))
        delay_s *= 1 - rng.random() / 2
        return max(delay_s, min(retry_after_s or 0.0, MAX_RETRY_AFTER_S))


class Retries(msgspec.Struct, frozen=True, kw_only=True):
    """``attempts`` counts the first try; ``timeout_s`` is how long each waits for its answer."""

    attempts: int = REQUEST_ATTEMPTS
    timeout_s: float = 10.0
    backoff: Backoff = Backoff()

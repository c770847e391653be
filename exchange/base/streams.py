"""Named random streams: each user of randomness has its own, so that adding one never shifts another."""

from __future__ import annotations

import hashlib
import random


def random_stream(seed: int, name: str) -> random.Random:
    """A generator that depends on ``seed`` and ``name`` alone, the same on every Python and hash seed."""
    digest = hashlib.sha256(f"{seed}:{name}".encode()).digest()
    return random.Random(int.from_bytes(digest[:16], "big"))

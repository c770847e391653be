"""Where secrets and server-made identifiers come from."""

from __future__ import annotations

import random
import secrets
from typing import Protocol


class Entropy(Protocol):
    """A source of bytes nobody can guess."""

    def token(self, size: int) -> bytes: ...


class SystemEntropy:
    """The operating system's generator."""

    def token(self, size: int) -> bytes:
        return secrets.token_bytes(size)


class SeededEntropy:
    """Repeatable bytes for virtual time and tests; never for a real server."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def token(self, size: int) -> bytes:
        return self._random.randbytes(size)

"""API keys: made once, told once, kept only as a hash."""

from __future__ import annotations

import base64
import hashlib
from typing import Final

from exchange.base.entropy import Entropy

KEY_PREFIX: Final = "itg_"
"""Lets people and secret scanners recognise a key."""
KEY_HASH_BYTES: Final = 32
_KEY_BYTES: Final = 32


def new_key(entropy: Entropy) -> str:
    """256 random bits in characters that need no quoting in a header or URL; tell it, then forget it."""
    return KEY_PREFIX + base64.urlsafe_b64encode(entropy.token(_KEY_BYTES)).rstrip(b"=").decode()


def key_id(key_hash: bytes) -> str:
    """Eight characters that tell one key from another in a log or an audit, and no one the key."""
    return key_hash.hex()[:8]


def hash_key(key: str) -> bytes:
    """SHA-256. A key has all its bits from a generator, so it needs neither salt nor stretching."""
    return hashlib.sha256(key.encode()).digest()

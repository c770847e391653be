import re

from exchange.base.entropy import SeededEntropy
from exchange.services.game.keys import KEY_PREFIX, hash_key, new_key


class _Counted:
    """Entropy that remembers how much was asked for."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    def token(self, size: int) -> bytes:
        self.sizes.append(size)
        return b"\xff" * size


def test_new_key_takes_256_bits_and_keeps_them_all() -> None:
    """Nothing of the generator's bytes is lost in the text."""
    entropy = _Counted()
    key = new_key(entropy)
    assert entropy.sizes == [32]
    assert key == KEY_PREFIX + "_" * 42 + "8"


def test_new_key_needs_no_quoting() -> None:
    """Safe in a header, a file and a shell."""
    entropy = SeededEntropy(1)
    keys = {new_key(entropy) for _ in range(100)}
    assert len(keys) == 100
    assert all(re.fullmatch(r"itg_[A-Za-z0-9_-]{43}", key) for key in keys)


def test_hash_key_is_sha_256_of_the_text() -> None:
    """The published value for "abc" (FIPS 180-4 examples)."""
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert hash_key("abc") == bytes.fromhex(digest)

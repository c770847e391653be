from __future__ import annotations

import pytest
from msgspec.structs import replace

from exchange.journal.batch import GENESIS, BatchKind, seal
from tests.unit.journal.places import batch


def test_seal_format() -> None:
    """Checksum and chain of a known batch: another value means that older journals are refused."""
    checksum, chain = seal(GENESIS, batch(1, 2))
    assert f"{checksum:08x}" == "097b8554"
    assert chain.hex() == "a1a87be32a5da1972ebe19ed34f1737886734a9f0dd5eb629ef0208c057bb488"


@pytest.mark.parametrize(
    "changes",
    [{"first_sequence": 2}, {"last_sequence": 8}, {"kind": BatchKind.VOID}, {"payload": b"other"}],
)
def test_seal_covers(changes: dict[str, object]) -> None:
    """Every field of a batch is in both."""
    original = batch(1, 7)
    checksum, chain = seal(GENESIS, original)
    other_checksum, other_chain = seal(GENESIS, replace(original, **changes))
    assert checksum != other_checksum
    assert chain != other_chain


def test_seal_chain() -> None:
    """The chain depends on all before it, the checksum on the batch alone."""
    checksum, chain = seal(GENESIS, batch(1))
    other_checksum, other_chain = seal(chain, batch(1))
    assert checksum == other_checksum
    assert chain != other_chain

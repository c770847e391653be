import pytest

from exchange.api.request_ids import RequestIds, client_request_id
from exchange.base.entropy import SeededEntropy


def test_request_ids_are_never_repeated() -> None:
    """Within a process a counter tells them apart, between processes the mark does."""
    first, second = RequestIds(SeededEntropy(1)), RequestIds(SeededEntropy(2))
    made = [ids.next() for ids in (first, second) for _ in range(100)]
    assert len(set(made)) == 200


def test_request_ids_could_be_sent_by_a_client() -> None:
    """What the server makes passes its own rule."""
    made = RequestIds(SeededEntropy(1)).next()
    assert client_request_id(made.encode()) == made


@pytest.mark.parametrize(
    "value", [b"", b"a b", b"x" * 65, b"a\n", b"a/b", "é".encode(), b"\xff", b'"', b"a,b"]
)
def test_client_request_id_refuses_what_needs_quoting(value: bytes) -> None:
    """1 to 64 letters, digits, dots, underscores and hyphens, and nothing else."""
    assert client_request_id(value) is None


@pytest.mark.parametrize("value", [b"a", b"A.b_c-9", b"x" * 64])
def test_client_request_id_echoes_the_rest(value: bytes) -> None:
    """The name comes back as it was sent."""
    assert client_request_id(value) == value.decode()

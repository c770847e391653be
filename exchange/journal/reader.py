"""Reading batches and verifying each one: checksum, chain, and that no sequence is missing."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, TypeGuard

import apsw

from exchange.base.bounds import JOURNAL_READ_BATCHES
from exchange.journal.batch import GENESIS, Batch, BatchKind, seal
from exchange.journal.database import Row, open_live
from exchange.journal.files import JOURNAL
from exchange.journal.protocol import JournalDamaged

_PAGE: Final = "SELECT * FROM batches WHERE first_sequence > ? ORDER BY first_sequence LIMIT ?"
_BEFORE: Final = (
    "SELECT last_sequence, chain FROM batches WHERE first_sequence <= ?1 AND last_sequence <= ?1"
    " ORDER BY first_sequence DESC LIMIT 1"
)
_LAST: Final = "SELECT last_sequence, chain FROM batches ORDER BY first_sequence DESC LIMIT 1"
_OF_KIND: Final = "SELECT * FROM batches WHERE kind = ? ORDER BY first_sequence"
_KINDS: Final = frozenset(BatchKind)
# A flipped bit can turn a blob into text that is no UTF-8, or into one of absurd length.
_UNREADABLE: Final = (apsw.Error, UnicodeDecodeError, MemoryError)


class Verifier:
    """Follows the chain from one batch to the next; knows how far it holds."""

    def __init__(self, sequence: int = 0, chain: bytes = GENESIS) -> None:
        self.sequence = sequence
        self.chain = chain

    def take(self, values: tuple[object, ...]) -> Batch:
        """The batch of one row; raises JournalDamaged unless it is what was written after the one before."""
        if not _is_row(values):
            raise self.damage("a row does not have the columns it was written with")
        first, last, kind, checksum, chain, payload = values
        if first != self.sequence + 1 or last < first:
            raise self.damage(f"the next batch is {first}-{last}")
        if kind not in _KINDS:
            raise self.damage(f"there is no batch of kind {kind}")
        batch = Batch(first, last, BatchKind(kind), payload)
        expected_checksum, expected_chain = seal(self.chain, batch)
        if checksum != expected_checksum:
            raise self.damage(f"the checksum is {expected_checksum:08x} where {checksum:08x} was written")
        if chain != expected_chain:
            raise self.damage(
                f"the chain is {expected_chain.hex()[:16]}… where {chain.hex()[:16]}… was written"
            )
        self.sequence, self.chain = last, chain
        return batch

    def damage(self, what: str) -> JournalDamaged:
        return JournalDamaged(JOURNAL, what, self.sequence + 1)


def walk(connection: apsw.Connection, verifier: Verifier) -> Iterator[Batch]:
    """Verified batches after ``verifier.sequence``; raises JournalDamaged. No transaction stays open."""
    while True:
        try:
            page = connection.execute(_PAGE, (verifier.sequence, JOURNAL_READ_BATCHES)).fetchall()
        except _UNREADABLE as error:
            raise verifier.damage(f"SQLite can't read it: {error}") from error
        if not page:
            return
        for values in page:
            yield verifier.take(values)


def batches_of(connection: apsw.Connection, kind: BatchKind) -> Iterator[Batch]:
    """Every batch of one kind as stored, not verified."""
    for row in connection.execute(_OF_KIND, (kind,)).fetchall():
        if not _is_row(row):
            raise JournalDamaged(JOURNAL, "a row does not have the columns it was written with")
        yield Batch(row[0], row[1], kind, row[5])


def read_batches(data_dir: Path, after: int = 0) -> Generator[Batch, None, None]:
    """What is durable with a sequence above ``after``, beside a running server, from its process or another.

    What lies before is not verified again. The first batch may begin before ``after``. Raises JournalDamaged.
    """
    with closing(open_live(data_dir / JOURNAL)) as connection:
        yield from walk_after(connection, after)


def walk_after(connection: apsw.Connection, after: int) -> Iterator[Batch]:
    """Verified batches with a sequence above ``after``, from the stored chain of the batch before these."""
    return walk(connection, Verifier(*link_before(connection, after)))


def chain_at(data_dir: Path, sequence: int) -> bytes | None:
    """The stored chain after the batch that ends with ``sequence``, None if none does.

    Raises JournalDamaged.
    """
    with closing(open_live(data_dir / JOURNAL)) as connection:
        return stored_chain(connection, sequence)


def stored_chain(connection: apsw.Connection, sequence: int) -> bytes | None:
    """See ``chain_at``."""
    last, chain = link_before(connection, sequence)
    return chain if last == sequence else None


def last_link(connection: apsw.Connection) -> tuple[object, ...]:
    """Last sequence and chain as stored, (0, GENESIS) when empty."""
    found = connection.execute(_LAST).fetchone()
    return (0, GENESIS) if found is None else tuple(found)


def link_before(connection: apsw.Connection, sequence: int) -> tuple[int, bytes]:
    """Last sequence and stored chain of the last batch up to ``sequence``, (0, GENESIS) before the first."""
    try:
        found = connection.execute(_BEFORE, (sequence,)).fetchone()
    except _UNREADABLE as error:
        raise JournalDamaged(JOURNAL, f"SQLite can't read it: {error}") from error
    if found is None:
        return 0, GENESIS
    last, chain = found
    if not isinstance(last, int) or not isinstance(chain, bytes):
        raise JournalDamaged(JOURNAL, "a row does not have the columns it was written with")
    return last, chain


def _is_row(values: tuple[object, ...]) -> TypeGuard[Row]:
    *numbers, chain, payload = values
    return (
        len(values) == 6
        and all(isinstance(number, int) for number in numbers)
        and isinstance(chain, bytes)
        and isinstance(payload, bytes)
    )

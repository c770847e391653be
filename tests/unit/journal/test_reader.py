from __future__ import annotations

from contextlib import closing
from pathlib import Path

import apsw
import pytest

from exchange.base.bounds import JOURNAL_READ_BATCHES
from exchange.journal.batch import GENESIS, Batch, seal
from exchange.journal.database import Row, create, open_live, open_stopped
from exchange.journal.files import JOURNAL, files_in
from exchange.journal.protocol import JournalDamaged
from exchange.journal.reader import Verifier, read_batches, walk
from tests.unit.journal.places import batch, batches


def rows(written: list[Batch]) -> list[Row]:
    """The rows of ``written``, as a writer seals them."""
    chain, made = GENESIS, []
    for each in written:
        checksum, chain = seal(chain, each)
        made.append((each.first_sequence, each.last_sequence, int(each.kind), checksum, chain, each.payload))
    return made


def test_verifier_takes() -> None:
    """Rows as they were written are batches again, and the verifier knows where it is."""
    verifier = Verifier()
    written = rows(batches(3))
    assert [verifier.take(row) for row in written] == batches(3)
    assert (verifier.sequence, verifier.chain) == (9, written[-1][4])


FIRST, SECOND = rows(batches(2))


@pytest.mark.parametrize(
    ("row", "what"),
    [
        pytest.param((7, *SECOND[1:]), "next batch is 7-6", id="first"),
        pytest.param((4, 9, *SECOND[2:]), "checksum", id="last"),
        pytest.param((4, 3, *SECOND[2:]), "next batch is 4-3", id="last before first"),
        pytest.param((4, 6, 1, *SECOND[3:]), "checksum", id="kind"),
        pytest.param((4, 6, 3, *SECOND[3:]), "no batch of kind 3", id="unknown kind"),
        pytest.param((4, 6, 0, SECOND[3] ^ 1, *SECOND[4:]), "checksum", id="checksum"),
        pytest.param((*SECOND[:4], GENESIS, SECOND[5]), "chain", id="chain"),
        pytest.param((*SECOND[:4], b"", SECOND[5]), "chain", id="empty chain"),
        pytest.param((*SECOND[:5], b"other"), "checksum", id="payload"),
        pytest.param((*SECOND[:5], None), "columns", id="no payload"),
        pytest.param((*SECOND[:5], "text"), "columns", id="text"),
        pytest.param(("4", *SECOND[1:]), "columns", id="sequence as text"),
        pytest.param(SECOND[:5], "columns", id="column missing"),
        pytest.param(FIRST, "next batch is 1-3", id="repeated"),
    ],
)
def test_verifier_refuses(row: tuple[object, ...], what: str) -> None:
    """Every way in which a row can differ from what was written is named, with its sequence."""
    verifier = Verifier()
    verifier.take(FIRST)
    with pytest.raises(JournalDamaged, match=what) as caught:
        verifier.take(row)
    assert (caught.value.sequence, caught.value.file) == (4, JOURNAL)
    assert verifier.sequence == 3


def test_walk_page_boundaries(tmp_path: Path) -> None:
    """Nothing is lost or repeated where one page of batches ends."""
    for count in (JOURNAL_READ_BATCHES - 1, JOURNAL_READ_BATCHES, JOURNAL_READ_BATCHES + 1):
        create(tmp_path / JOURNAL, rows(batches(count)))
        with closing(open_stopped(files_in(tmp_path))) as connection:
            assert list(walk(connection, Verifier())) == batches(count)


def test_walk_holds_no_transaction(tmp_path: Path) -> None:
    """A reader that pauses does not keep the log from being reused."""
    create(tmp_path / JOURNAL, rows(batches(200)))
    with closing(open_live(tmp_path / JOURNAL)) as connection:
        walking = walk(connection, Verifier())
        next(walking)
        assert connection.txn_state() == apsw.SQLITE_TXN_NONE


def test_read_batches_damaged_before(tmp_path: Path) -> None:
    """Reading after a sequence does not verify what lies before it, and does verify all after."""
    made = rows(batches(4))
    made[0] = (*made[0][:5], b"damaged")
    create(tmp_path / JOURNAL, made)
    assert list(read_batches(tmp_path, after=3)) == batches(4)[1:]
    with pytest.raises(JournalDamaged, match="sequence 1"):
        list(read_batches(tmp_path, after=2))


def test_read_batches_damaged_predecessor(tmp_path: Path) -> None:
    """A stored chain that is not a chain is damage too."""
    with closing(apsw.Connection(str(tmp_path / JOURNAL))) as connection:
        connection.execute(
            "CREATE TABLE batches"
            " (first_sequence INTEGER PRIMARY KEY, last_sequence, kind, checksum, chain, payload)"
        )
        connection.execute("INSERT INTO batches VALUES (1, 3, 0, 0, 'text', x'')")
    with pytest.raises(JournalDamaged, match="columns"):
        list(read_batches(tmp_path, after=3))


def test_read_batches_no_table(tmp_path: Path) -> None:
    """What SQLite can't read is damage, not an error of SQLite's."""
    with closing(apsw.Connection(str(tmp_path / JOURNAL))) as connection:
        connection.execute("CREATE TABLE other (text)")
    for after in (0, 1):
        with pytest.raises(JournalDamaged, match="no such table"):
            list(read_batches(tmp_path, after))


def test_batch_spans(tmp_path: Path) -> None:
    """A batch that holds ``after`` inside is read whole."""
    written = [batch(1, 10), batch(11, 10)]
    create(tmp_path / JOURNAL, rows(written))
    assert list(read_batches(tmp_path, after=5)) == written
    assert list(read_batches(tmp_path, after=15)) == written[1:]

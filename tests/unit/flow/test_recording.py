import gzip
from pathlib import Path

import pytest

from exchange.flow import recording
from exchange.flow.errors import RecordingError
from exchange.flow.recording import Action, Message, read_recording
from exchange.model.types import Side, TimeInForce

HEADER = "seq,action,order_id,side,price_ticks,quantity,time_in_force"
ROWS = ("0,new,7,buy,33647,21,gtc", "1,amend,7,buy,33648,24,", "2,cancel,7,,,,", "4,new,8,sell,33646,91,ioc")


def _write(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "flow.csv"
    path.write_text("\n".join((header, *rows)) + "\n")
    return path


def test_recording_is_read_row_by_row(tmp_path: Path) -> None:
    """Every column is understood; a cancel has an order only."""
    messages = read_recording(_write(tmp_path, *ROWS)).messages
    assert messages[0] == Message(
        seq=0, action=Action.NEW, order_id=7, side=Side.BUY, price_ticks=33_647, quantity=21
    )
    assert messages[2] == Message(seq=2, action=Action.CANCEL, order_id=7)
    assert [each.seq for each in messages] == [0, 1, 2, 4]
    assert messages[3].time_in_force is TimeInForce.IOC


def test_recording_may_be_packed(tmp_path: Path) -> None:
    """Gzip is told by the content, not by the name."""
    plain = _write(tmp_path, *ROWS)
    packed = tmp_path / "packed"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_recording(packed) == read_recording(plain)


def test_recording_knows_its_extremes(tmp_path: Path) -> None:
    """Prices and quantities of orders and amends; cancels have none."""
    found = read_recording(_write(tmp_path, *ROWS))
    assert found.price_range == (33_646, 33_648)
    assert found.quantity_range == (21, 91)
    assert found.total_quantity == 21 + 24 + 91


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ("0,new,7,buy,33647,21", "line 2: 6 columns, not 7"),
        ("0,new,7,buy,33647,21,gtc,more", "line 2: 8 columns"),
        ("0,new,7,buy,33647,21,", "time_in_force is missing"),
        ("0,amend,7,buy,,21,", "price_ticks is missing"),
        ("0,new,7,buy,33647,0,gtc", "line 2: .*>= 1"),
        ("0,new,7,buy,0.5,1,gtc", "line 2"),
        ("0,new,7,up,33647,1,gtc", "line 2: .*'up'"),
        ("0,replace,7,buy,33647,1,gtc", "line 2: .*'replace'"),
        ("0,new,x,buy,33647,1,gtc", "line 2"),
    ],
)
def test_recording_refuses_a_bad_row(tmp_path: Path, row: str, complaint: str) -> None:
    """The line is named, and what is wrong with it."""
    with pytest.raises(RecordingError, match=complaint):
        read_recording(_write(tmp_path, row))


def test_recording_refuses_another_file(tmp_path: Path) -> None:
    """A file of other columns, a broken archive, a folder: none is a flow."""
    with pytest.raises(RecordingError, match="first line"):
        read_recording(_write(tmp_path, header="a,b"))
    broken = tmp_path / "broken.csv.gz"
    broken.write_bytes(gzip.compress(b"x" * 1_000)[:20])
    with pytest.raises(RecordingError, match="cannot read"):
        read_recording(broken)
    with pytest.raises(RecordingError, match="cannot read"):
        read_recording(tmp_path)


def test_recording_refuses_disorder(tmp_path: Path) -> None:
    """Sequences rise, and an identifier is entered once: it becomes a client order id."""
    with pytest.raises(RecordingError, match="line 3: seq 0 comes after 0"):
        read_recording(_write(tmp_path, "0,cancel,1,,,,", "0,cancel,2,,,,"))
    with pytest.raises(RecordingError, match="line 3: order_id 7 is entered twice"):
        read_recording(_write(tmp_path, ROWS[0], "1,new,7,buy,1,1,gtc"))


def test_recording_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with more messages than are held in memory is refused."""
    monkeypatch.setattr(recording, "MAX_RECORDED_MESSAGES", 3)
    with pytest.raises(RecordingError, match="more than 3 messages"):
        read_recording(_write(tmp_path, *ROWS))
    assert len(read_recording(_write(tmp_path, *ROWS[:3])).messages) == 3

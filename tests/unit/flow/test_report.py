import hashlib

from exchange.flow.report import Kind, ReportStream
from exchange.model.types import Side


def test_report_lines_are_those_of_the_format() -> None:
    """Each kind has its columns; the stream has no newline at its end."""
    reports = ReportStream()
    reports.acknowledged(3, Side.BUY, "7", 33_504, 10)
    reports.traded(3, 33_500, 4, "6", "7")
    reports.cancelled(3, Side.SELL, "8", 33_505)
    reports.amended(4, Side.BUY, "7", 33_506, 12)
    reports.refused(Kind.CANCEL_REFUSED, 5, "9")
    reports.refused(Kind.AMEND_REFUSED, 6, "9")
    lines = ["0,3,0,7,33504,10", "1,3,33500,4,6,7", "2,3,1,8,33505", "3,4,0,7,33506,12", "4,5,9", "5,6,9"]
    assert reports.lines == lines
    assert reports.text() == "\n".join(lines)
    assert reports.sha256() == hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert [reports.counts[kind] for kind in Kind] == [1] * 6
    assert len(reports) == 6


def test_report_stream_of_nothing_has_the_hash_of_nothing() -> None:
    """No report is the empty text."""
    assert ReportStream().sha256() == hashlib.sha256(b"").hexdigest()

import re

from exchange.api.timing import server_timing
from exchange.pipeline.responses import PendingRequest, Wait

MS = 1_000_000


def _timing(wait: Wait, **marks_ms: int) -> dict[str, float]:
    pending = PendingRequest("r", 1, wait, 10 * MS, 0, 0)
    for name, at_ms in marks_ms.items():
        setattr(pending, f"{name}_ns", at_ms * MS)
    return _parsed(server_timing(pending, 20 * MS))


def _parsed(header: bytes) -> dict[str, float]:
    # The grammar of W3C Server Timing: name;dur=number, separated by commas.
    entries = [re.fullmatch(r"([a-z]+);dur=([0-9.]+)", entry) for entry in header.decode().split(", ")]
    return {entry[1]: float(entry[2]) for entry in entries if entry is not None}


def test_server_timing_without_command_is_the_total() -> None:
    """A read has no stages."""
    assert _parsed(server_timing(None, 1_500_000)) == {"total": 1.5}


def test_server_timing_names_each_stage_it_waited_for() -> None:
    """Each stage has the time since the one before; validation has the queue's too."""
    marks = {"validated": 13, "written": 14, "matched": 16, "finished": 20}
    assert _timing(Wait.SETTLEMENT, **marks) == {
        "validation": 3,
        "journal": 1,
        "matching": 2,
        "settlement": 4,
        "total": 20,
    }


def test_server_timing_ends_where_the_answer_was_given() -> None:
    """What the stages behind the answer did meanwhile is not the client's time."""
    early = {"validated": 13, "written": 14, "finished": 14}
    assert _timing(Wait.VALIDATION, **early) == {"validation": 3, "journal": 1, "total": 20}
    assert _timing(Wait.VALIDATION, **early, matched=15) == {"validation": 3, "journal": 1, "total": 20}
    matched = {"validated": 13, "written": 14, "matched": 16, "finished": 16}
    assert _timing(Wait.MATCHING, **matched) == {"validation": 3, "journal": 1, "matching": 2, "total": 20}


def test_server_timing_of_a_refusal_names_no_stage_it_never_left() -> None:
    """Refused by validate, or stuck before the journal had it."""
    assert _timing(Wait.VALIDATION, finished=12) == {"total": 20}
    assert _timing(Wait.VALIDATION, validated=13, finished=15) == {"validation": 3, "total": 20}

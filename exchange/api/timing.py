"""Where the time of a request went, as ``Server-Timing`` (W3C) says it: milliseconds by name."""

from __future__ import annotations

from typing import Final

from exchange.pipeline.responses import PendingRequest, Wait

_STAGES: Final = (b"validation", b"journal", b"matching", b"settlement")
_TOTAL, _VALIDATED, _WRITTEN, _MATCHED, _SETTLED = (
    b", ".join(b"%b;dur=%%.3f" % name for name in (*_STAGES[:passed], b"total"))
    for passed in range(len(_STAGES) + 1)
)


def server_timing(pending: PendingRequest | None, elapsed_ns: int) -> bytes:
    """``elapsed_ns`` is the whole time inside the API.

    ``validation`` holds the wait in the queue too. A stage the answer did not wait for is left out.
    """
    total_ms = elapsed_ns / 1e6
    if pending is None:
        return _TOTAL % total_ms
    since_ns, finished_ns = pending.registered_ns, pending.finished_ns
    validated_ns, written_ns, matched_ns = pending.validated_ns, pending.written_ns, pending.matched_ns
    if not validated_ns or validated_ns > finished_ns:
        return _TOTAL % total_ms
    validation_ms = (validated_ns - since_ns) / 1e6
    if not written_ns or written_ns > finished_ns:
        return _VALIDATED % (validation_ms, total_ms)
    journal_ms = (written_ns - validated_ns) / 1e6
    if not matched_ns or matched_ns > finished_ns:
        return _WRITTEN % (validation_ms, journal_ms, total_ms)
    matching_ms = (matched_ns - written_ns) / 1e6
    if pending.wait is not Wait.SETTLEMENT:
        return _MATCHED % (validation_ms, journal_ms, matching_ms, total_ms)
    return _SETTLED % (validation_ms, journal_ms, matching_ms, (finished_ns - matched_ns) / 1e6, total_ms)

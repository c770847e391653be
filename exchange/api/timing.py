"""Where the time of a request went, as ``Server-Timing`` (W3C) says it: milliseconds by name."""

from __future__ import annotations

from typing import Final

from exchange.pipeline.responses import PendingRequest, Wait

_STAGES: Final = (b"validation", b"journal", b"matching", b"settlement")
_HEADERS: Final = tuple(
    b", ".join(b"%b;dur=%%.3f" % name for name in (*_STAGES[:passed], b"total"))
    for passed in range(len(_STAGES) + 1)
)
"""The header of a request that passed so many stages."""


def server_timing(pending: PendingRequest | None, elapsed_ns: int) -> bytes:
    """``elapsed_ns`` is the whole time inside the API.

    ``validation`` holds the wait in the queue too. A stage the answer did not wait for is left out.
    """
    spans: list[float] = []
    if pending is not None:
        finished_ns = pending.finished_ns
        since_ns = pending.registered_ns
        for reached_ns in (pending.validated_ns, pending.written_ns, pending.matched_ns):
            if not reached_ns or reached_ns > finished_ns:
                break
            spans.append((reached_ns - since_ns) / 1e6)
            since_ns = reached_ns
        else:
            if pending.wait is Wait.SETTLEMENT:
                spans.append((finished_ns - since_ns) / 1e6)
    return _HEADERS[len(spans)] % (*spans, elapsed_ns / 1e6)

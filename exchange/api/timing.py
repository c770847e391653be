"""Where the time of a request went, as ``Server-Timing`` (W3C) says it: milliseconds by name."""

from __future__ import annotations

from exchange.pipeline.responses import PendingRequest, Wait


def server_timing(pending: PendingRequest | None, elapsed_ns: int) -> bytes:
    """``elapsed_ns`` is the whole time inside the API.

    ``validation`` holds the wait in the queue too. A stage the answer did not wait for is left out.
    """
    text = b""
    if pending is not None:
        finished_ns = pending.finished_ns
        since_ns = pending.registered_ns
        for name, reached_ns in (
            (b"validation", pending.validated_ns),
            (b"journal", pending.written_ns),
            (b"matching", pending.matched_ns),
        ):
            if not reached_ns or reached_ns > finished_ns:
                break
            text += b"%b;dur=%.3f, " % (name, (reached_ns - since_ns) / 1e6)
            since_ns = reached_ns
        else:
            if pending.wait is Wait.SETTLEMENT:
                text += b"settlement;dur=%.3f, " % ((finished_ns - since_ns) / 1e6)
    return b"%btotal;dur=%.3f" % (text, elapsed_ns / 1e6)

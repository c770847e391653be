"""Commands as journal payloads: MessagePack, arrays without field names, a number per kind of command."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from exchange.journal.batch import Batch, BatchKind
from exchange.model.commands import Record

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(list[Record])


def encode_batch(records: Sequence[Record], kind: BatchKind = BatchKind.COMMANDS) -> Batch:
    """One batch of records with contiguous sequences; at least one."""
    return Batch(records[0].sequence, records[-1].sequence, kind, _ENCODER.encode(records))


def decode_batch(batch: Batch) -> list[Record]:
    """The records of ``batch``; raises msgspec.DecodeError when another version of the code wrote it."""
    return _DECODER.decode(batch.payload)


def decode_batches(batches: Iterable[Batch]) -> Iterator[Record]:
    """Every record of ``batches``, in order."""
    for batch in batches:
        yield from decode_batch(batch)

"""What can be wrong with the projection; the message says what to do."""

from __future__ import annotations


class StorageError(Exception):
    """The database cannot be used as it is."""


class StorageUnavailable(StorageError):
    """The database does not answer, or refused: worth another try later."""


class OffsetMoved(StorageError):
    """Another process writes the same tables."""


class OtherJournal(StorageError):
    """The tables were made from another journal: another game, or one that was restored or cut."""

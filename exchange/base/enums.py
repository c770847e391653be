"""Enumerations that are looked up on the order path."""

from __future__ import annotations

from enum import Enum


class FastEnum(Enum):
    """An Enum that hashes by identity, as its members compare: Enum's own hash is a call into Python code."""

    __hash__ = object.__hash__

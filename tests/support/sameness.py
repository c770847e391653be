"""Whether two object graphs are the same all the way down, private attributes and shared objects included."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from enum import Enum
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Final

import msgspec

_ATOMS: Final = (int, str, bytes, float, bool, type(None), Enum, frozenset, type)
_CODE: Final = (FunctionType, MethodType, BuiltinFunctionType)


class Comparison:
    """Walks two graphs in step. ``derived`` names attributes, as (class, name), that may differ.

    ``classes`` are those met that are neither containers nor messages: whatever has private state.
    ``differing`` are the attributes in which, or somewhere below which, a difference was found.
    """

    def __init__(self, derived: Mapping[tuple[str, str], str]) -> None:
        self._derived = derived
        self._pairs: dict[int, int] = {}
        self._partners: dict[int, int] = {}
        self._kept: list[object] = []
        self.differing: set[tuple[str, str]] = set()
        self.classes: dict[str, frozenset[str]] = {}

    def differences(self, left: Any, right: Any, path: str = "core") -> Iterator[str]:
        """Where they differ, in words; nothing where they are the same."""
        if isinstance(left, _CODE):
            return
        if type(left) is not type(right):
            yield f"{path}: {type(left).__name__} and {type(right).__name__}"
        elif isinstance(left, _ATOMS):
            if left != right:
                yield f"{path}: {left!r} and {right!r}"
        elif self._is_new(left, right):
            yield from self._inside(left, right, path)
        elif self._pairs.get(id(left)) != id(right) or self._partners.get(id(right)) != id(left):
            yield f"{path}: shared on one side, two objects on the other"

    def _is_new(self, left: object, right: object) -> bool:
        if isinstance(left, msgspec.Struct) and left.__struct_config__.frozen:
            return True  # a value: nobody can tell whether it is shared
        if isinstance(left, tuple):
            return True
        if id(left) in self._pairs or id(right) in self._partners:
            return False
        self._pairs[id(left)], self._partners[id(right)] = id(right), id(left)
        self._kept += (left, right)
        return True

    def _inside(self, left: Any, right: Any, path: str) -> Iterator[str]:
        if isinstance(left, dict):
            left, right = _filled(left), _filled(right)
            if left.keys() != right.keys():
                yield f"{path}: keys {sorted(map(str, left.keys() ^ right.keys()))[:5]} on one side only"
            for key in left.keys() & right.keys():
                yield from self.differences(left[key], right[key], f"{path}[{key!r}]")
        elif isinstance(left, (list, tuple, deque)):
            if len(left) != len(right) or getattr(left, "maxlen", 0) != getattr(right, "maxlen", 0):
                yield f"{path}: {len(left)} and {len(right)} items"
            for at, (one, other) in enumerate(zip(left, right, strict=False)):
                yield from self.differences(one, other, f"{path}[{at}]")
        else:
            yield from self._attributes(left, right, path)

    def _attributes(self, left: Any, right: Any, path: str) -> Iterator[str]:
        kind = type(left).__name__
        names = attributes(left)
        if not isinstance(left, msgspec.Struct):
            self.classes[kind] = names
        for name in sorted(names):
            if (kind, name) not in self._derived:
                one, other = getattr(left, name, None), getattr(right, name, None)
                for difference in self.differences(one, other, f"{path}.{name}"):
                    self.differing.add((kind, name))
                    yield difference


def attributes(value: object) -> frozenset[str]:
    """The names of everything an object holds."""
    if isinstance(value, msgspec.Struct):
        return frozenset(value.__struct_fields__)
    slots = [
        name
        for kind in type(value).__mro__
        for name in getattr(kind, "__slots__", ())
        if not name.startswith("__")
    ]
    return frozenset(slots) | frozenset(getattr(value, "__dict__", {}))


def _filled(values: dict[Any, Any]) -> dict[Any, Any]:
    # An account without orders and one that is not there are the same to whoever asks.
    return {key: value for key, value in values.items() if value != {}}

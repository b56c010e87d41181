"""Arguments of calls, as scripts keep them: by value, by identity, or as numbers and places that may vary."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import DType
from ..overrides import OtherTensor
from ..tensors import Tensor


class Number(NamedTuple):
    """A number that only enters the program as a value: another of its kind will do."""

    value: float | int

    def matches(self, x: Any) -> Any:
        """The number that another argument is instead; None where it will not do."""
        return x if type(x) is type(self.value) and _ordinary(x) else None

    def with_value(self, value: Any) -> Any:
        """The argument with another number."""
        return value


class Place(NamedTuple):
    """An index that says where in one dim, in ``x[i]`` or ``x[:, i : i + n]``: another place in the dim will do."""

    index: Any
    at: int | None  # which item of a tuple it is; None where there is no tuple
    value: int
    length: int | None  # of a slice
    size: int  # of the dim

    def matches(self, x: Any) -> Any:
        if type(x) is int and self.at is None:
            return x if self.length is None and 0 <= x < self.size else None
        if self.at is not None:
            if type(x) is not tuple or len(x) != len(self.index):
                return None
            if not all(k == self.at or same(a, b) for k, (a, b) in enumerate(zip(self.index, x))):
                return None
            x = x[self.at]
        found = _start_of(x)
        return found[0] if found is not None and found[1] == self.length and _lies_in(found, self.size) else None

    def with_value(self, value: Any) -> Any:
        item = value if self.length is None else slice(value, value + self.length)
        return item if self.at is None else (*self.index[: self.at], item, *self.index[self.at + 1 :])


#: Arguments that another number may take the place of: ``matches`` finds it, ``with_value`` puts it there.
VALUES = (Number, Place)


class Items(NamedTuple):
    """A list or tuple with tensors in it."""

    kind: type
    items: tuple[Any, ...]


class Unsayable(Exception):
    """An argument that a script cannot say."""


_BY_VALUE = (int, str, bool, type(None), type(Ellipsis), complex, bytes)


def constant(x: Any) -> Any:
    """The argument as it is kept; Unsayable for what cannot be compared cheaply."""
    if isinstance(x, (*_BY_VALUE, float, DType, np.generic, type)) or callable(x):
        return x
    if isinstance(x, (tuple, list)):
        return type(x)(map(constant, x)) if type(x) in (tuple, list) else x
    if isinstance(x, slice):
        for part in (x.start, x.stop, x.step):
            if isinstance(part, Tensor):
                raise Unsayable("a tensor in a slice")
        return x
    if isinstance(x, (np.ndarray, dict, set, OtherTensor)) or hasattr(x, "__array__"):
        raise Unsayable(f"an argument of type {type(x).__name__}")
    return x


def same(a: Any, x: Any) -> bool:
    """Whether an argument is the constant of the script, by value for plain values, else by identity."""
    if a is x:
        return True
    kind = type(x)
    if type(a) is not kind:
        return False
    if kind is float:
        return a == x and (a != 0 or math.copysign(1, a) == math.copysign(1, x))
    if kind is complex:
        return same(a.real, x.real) and same(a.imag, x.imag)
    if issubclass(kind, np.generic):
        return bool(a.tobytes() == x.tobytes())  # signs of zeros, too
    if kind is slice:
        return same(a.start, x.start) and same(a.stop, x.stop) and same(a.step, x.step)
    if issubclass(kind, (tuple, list)):
        return len(a) == len(x) and all(map(same, a, x))
    return issubclass(kind, _BY_VALUE) and bool(a == x)


_SPECIAL = {0, 1, -1, 2, -2, 3, 0.5, -0.5}  # numbers for which a function may have another way of computing


def _ordinary(x: Any) -> bool:
    return x not in _SPECIAL and math.isfinite(x)


def number(x: Any) -> Any:
    """What may enter as a value only."""
    return Number(x) if type(x) in (int, float) and _ordinary(x) else constant(x)


def _start_of(x: Any) -> tuple[int, int | None] | None:
    """Where an index begins, and how long it is if it is a slice; None where it is of another kind."""
    if _plain(x):
        return int(x), None
    if type(x) is slice and x.step is None and _plain(x.start) and _plain(x.stop):
        return int(x.start), int(x.stop) - int(x.start)
    return None


def _plain(x: Any) -> bool:
    return isinstance(x, (int, np.integer)) and not isinstance(x, bool)


def _lies_in(place: tuple[int, int | None], size: int) -> bool:
    start, length = place
    return start >= 0 and (start < size if length is None else length > 0 and start + length <= size)


def place(index: Any, shape: tuple[int, ...]) -> Any:
    """What of an index may enter as a value only: where the one item begins that says a place."""
    items = index if type(index) is tuple else (index,)
    starts = [(k, found) for k, x in enumerate(items) if (found := _start_of(x)) is not None]
    if len(starts) != 1 or any(isinstance(x, bool) for x in items):
        return constant(index)
    (k, found), dots = starts[0], [i for i, x in enumerate(items) if x is Ellipsis]
    if dots and dots[0] < k:
        dim = len(shape) - sum(x is not None for x in items[k:])
    else:
        dim = sum(x is not None for x in items[:k])
    if not 0 <= dim < len(shape) or not _lies_in(found, shape[dim]) or found[1] == shape[dim]:
        return constant(index)
    constant(index)  # what else is in it
    return Place(index, k if type(index) is tuple else None, found[0], found[1], shape[dim])


#: Functions whose numbers enter as values only.
numeric: set[Any] = set()
#: Functions of a tensor and an index.
indexing: set[Any] = set()

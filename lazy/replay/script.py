"""Scripts: the calls of one segment of a program, by the values they take and make, and the programs that compute them."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..dtypes import DType
from ..graph import Aval, HostValue
from ..overrides import OtherTensor
from ..record import GradNode, mode
from ..tensors import Tensor


class Slot:
    """A value of a script. Tensors that have this value now say so in ``_slot``."""

    __slots__ = ("aval", "family", "index", "layout", "requires_grad")

    def __init__(self, index: int, aval: Aval, requires_grad: bool, family: list[Any]) -> None:
        self.index, self.aval, self.requires_grad, self.family = index, aval, requires_grad, family
        self.layout: Any = None  # offset (None: it varies) and strides, where they are not those of a contiguous array
        family.append(self)


class Leaf(Slot):
    """A value that was there before the segment: computed, or (``host``) a number known on the host."""

    __slots__ = ("chain", "edge", "host", "same_as")

    def __init__(self, index: int, t: Tensor, family: list[Any]) -> None:
        node = t._node
        super().__init__(index, node.sig.aval, t._edge is not None, family)
        self.host = node.sig if isinstance(node, HostValue) else None
        self.edge = type(t._edge)
        self.chain = _chain(t)
        self.same_as: int | None = None  # the leaf whose very value it has, as a detached alias does

    def fits(self, t: Tensor) -> bool:
        node = t._node
        if node is None or node.sig.aval is not self.aval or type(t._edge) is not self.edge:
            return False
        if self.edge is GradNode and not is_spent(t._edge):  # type: ignore[arg-type]
            return False
        if self.host is not None:
            return node.sig is self.host and isinstance(node, HostValue)
        return node.buffer is not None and not isinstance(node, HostValue) and _chain(t) == self.chain


class Result(Slot):
    """A value that a call made. ``handle`` is the place of the tensor that got it first in the list of all such."""

    __slots__ = ("call", "edge", "kept", "sig", "site")

    def __init__(self, index: int, t: Tensor, family: list[Any], call: int) -> None:
        node = t._node
        super().__init__(index, node.sig.aval, t._edge is not None, family)
        self.call = call
        self.kept: Slot | None = None  # the value of the tensor of which it is a view: alive as long as the view is
        self.edge: Any = None  # of the tensor at the end of the segment
        self.sig, self.site = node.sig, (node.code, node.lasti)


class Same(NamedTuple):
    """A result that is an operand: its place among the tensors of the call."""

    operand: int


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


class Call:
    """One call: what it took, what it gave, what it wrote."""

    __slots__ = (
        "args", "cast", "direct", "draws", "f", "grad", "grads", "kwargs", "leaves", "needs", "others", "results", "returned",
        "simple", "site", "writes",
    )  # fmt: skip

    def __init__(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], site: Any) -> None:
        self.f, self.args, self.kwargs, self.site = f, args, kwargs, site
        self.grad, self.cast = mode.grad, mode.cast
        self.leaves = 0  # of the script, up to here
        self.simple = False  # one new tensor, and nothing else, comes of it
        self.direct = False  # made for real each time: it gives values that are there at once, or none
        self.returned: Any = None
        self.results: tuple[Result, ...] = ()
        self.writes: tuple[Write, ...] = ()
        self.grads: tuple[Grad, ...] = ()
        self.draws: tuple[Any, ...] = ()  # the generators drawn from
        self.needs: Any = None  # defaults that a call without tensors depends on
        #: Values written under another name (``p.data``) than they come under here (``p``): whether that one has a history.
        self.others: dict[Slot, bool] = {}


    def alike(self, other: Call) -> bool:
        """Whether two calls of two scripts say the same of the values so far."""
        return (
            self.f is other.f and self.grad is other.grad and self.cast is other.cast
            and self.direct is other.direct
            and len(self.args) == len(other.args) and all(map(_alike, self.args, other.args))
            and self.kwargs.keys() == other.kwargs.keys() and all(_alike(v, other.kwargs[k]) for k, v in self.kwargs.items())
            and _alike(self.returned, other.returned) and len(self.results) == len(other.results)
            and len(self.writes) == len(other.writes) and all(map(_alike, self.writes, other.writes))
            and len(self.grads) == len(other.grads) and all(map(_alike, self.grads, other.grads))
            and self.draws == other.draws and self.needs == other.needs
            and list(self.others.values()) == list(other.others.values())
        )  # fmt: skip

    def number(self) -> Any:
        """The number among its arguments that only is a value."""
        return next(a.value for a in self.args if type(a) in VALUES)


class Write(NamedTuple):
    """A tensor operand written in place: its place among the operands, its new value, and the values of tensors sharing
    its memory, which nobody may hold any more."""

    operand: int
    slot: Result
    others: tuple[int, ...]


class Grad(NamedTuple):
    """A backward's effect: the leaf, the value of its ``.grad`` before (None: there was none), and after."""

    leaf: Slot
    before: Slot | None
    slot: Result


class Script:
    """A segment that can be followed."""

    __slots__ = ("__weakref__", "after", "alive", "calls", "leaves", "ops", "programs", "results", "shared")

    def __init__(self, calls: list[Any], leaves: list[Leaf], results: list[Result], alive: tuple[int, ...]) -> None:
        self.calls, self.leaves, self.results, self.alive = calls, leaves, results, alive
        self.programs: list[Any] = []
        self.ops = 0
        self.shared: weakref.WeakKeyDictionary[Script, int] = weakref.WeakKeyDictionary()
        self.after: Any = None  # the script that followed it last

    def shares(self, other: Script) -> int:
        """How many calls the two have in common from the beginning."""
        found = self.shared.get(other)
        if found is None:
            found = 0
            while self.calls[found] is not None and other.calls[found] is not None:
                if not self.calls[found].alike(other.calls[found]):
                    break
                found += 1
            self.shared[other] = found
        return found

    def alike(self, other: Script) -> bool:
        """Whether the other says the same, so that it need not be kept too."""
        return (
            self.alive == other.alive
            and [p.graph for p in self.programs] == [p.graph for p in other.programs]
            and [c and c.f for c in self.calls] == [c and c.f for c in other.calls]
        )


# --- constants --------------------------------------------------------------------------------------------------


def _alike(a: Any, b: Any) -> bool:
    kind = type(a)
    if type(b) is not kind:
        return False
    if kind is Leaf:
        return (a.index, a.aval, a.host, a.edge, a.chain, a.same_as) == (b.index, b.aval, b.host, b.edge, b.chain, b.same_as)
    if kind is Result:
        return a.index == b.index  # type: ignore[no-any-return]
    if kind is Number:
        return type(a.value) is type(b.value)
    if kind is Place:
        return (a.at, a.length, a.size) == (b.at, b.length, b.size) and b.matches(a.index) is not None
    if kind in (Items, Write, Grad, tuple):
        return len(a) == len(b) and all(map(_alike, a, b))
    return same(a, b)


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
    if kind is slice:
        return same(a.start, x.start) and same(a.stop, x.stop) and same(a.step, x.step)
    if issubclass(kind, (tuple, list)):
        return len(a) == len(x) and all(map(same, a, x))
    return issubclass(kind, (*_BY_VALUE, np.generic)) and bool(a == x)


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


def is_spent(entry: GradNode) -> bool:
    """Whether a backward has gone through the history, so that another raises."""
    stack, seen = [entry], {id(entry)}
    while stack:
        e = stack.pop()
        if e.freed:
            return True
        for x in e.edges:
            if type(x) is GradNode and id(x) not in seen:
                seen.add(id(x))
                stack.append(x)
    return False


def _chain(t: Tensor) -> tuple[str, ...]:
    """The kinds of the steps by which a tensor is a view."""
    meta = t._meta
    return () if meta is None or not meta.chain else tuple([step.name for step in meta.chain])

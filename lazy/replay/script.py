"""Scripts: the calls of one segment of a program, by the values they take and make, and the programs that compute them."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

from ..graph import Aval, HostValue
from ..inference import is_inference, used
from ..record import GradNode, mode
from ..tensors import Tensor
from .arguments import VALUES, Items, Number, Place, same


class Slot:
    """A value of a script. Tensors that have this value now say so in ``_slot``."""

    __slots__ = ("aval", "family", "index", "layout", "requires_grad")

    def __init__(self, index: int, aval: Aval, requires_grad: bool, family: list[Any]) -> None:
        self.index, self.aval, self.requires_grad, self.family = index, aval, requires_grad, family
        self.layout: Any = None  # offset (None: it varies) and strides, where they are not those of a contiguous array
        family.append(self)


class Leaf(Slot):
    """A value that was there before the segment: computed, or (``host``) a number known on the host."""

    __slots__ = ("chain", "edge", "host", "inference", "same_as")

    def __init__(self, index: int, t: Tensor, family: list[Any]) -> None:
        node = t._node
        super().__init__(index, node.sig.aval, t._edge is not None, family)
        self.host = node.sig if isinstance(node, HostValue) else None
        self.edge = type(t._edge)
        self.chain, self.inference = _chain(t), is_inference(t)
        self.same_as: int | None = None  # the leaf whose very value it has, as a detached alias does

    def fits(self, t: Tensor) -> bool:
        node = t._node
        if node is None or node.sig.aval is not self.aval or type(t._edge) is not self.edge:
            return False
        if used[0] and is_inference(t) is not self.inference:
            return False
        if self.edge is GradNode and not is_spent(t._edge):  # type: ignore[arg-type]
            return False
        if self.host is not None:
            return node.sig is self.host and isinstance(node, HostValue)
        return node.buffer is not None and not isinstance(node, HostValue) and _chain(t) == self.chain


class Result(Slot):
    """A value that a call made. ``handle`` is the place of the tensor that got it first in the list of all such."""

    __slots__ = ("call", "edge", "inference", "kept", "sig", "site")

    def __init__(self, index: int, t: Tensor, family: list[Any], call: int) -> None:
        node = t._node
        super().__init__(index, node.sig.aval, t._edge is not None, family)
        self.call, self.inference = call, is_inference(t)
        self.kept: Slot | None = None  # the value of the tensor of which it is a view: alive as long as the view is
        self.edge: Any = None  # of the tensor at the end of the segment
        self.sig, self.site = node.sig, (node.code, node.lasti)


class Same(NamedTuple):
    """A result that is an operand: its place among the tensors of the call."""

    operand: int


class Call:
    """One call: what it took, what it gave, what it wrote."""

    __slots__ = (
        "args", "cast", "direct", "draws", "f", "fresh", "grad", "grads", "kwargs", "leaves", "needs", "others", "results",
        "returned", "simple", "site", "writes",
    )  # fmt: skip

    def __init__(self, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], site: Any) -> None:
        self.f, self.args, self.kwargs, self.site = f, args, kwargs, site
        self.grad, self.cast = mode.grad, mode.cast
        self.leaves = 0  # of the script, up to here
        self.fresh = False  # one new tensor or several, and nothing else, come of it
        self.simple = False  # the same, of what has to be the very same objects
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


class Read(NamedTuple):
    """A value read while a history is still to be gone through backward: what ran for it, and which of the values of the
    segment it computed. Its results are leaves of the programs that run later, numbered from -1 downwards."""

    programs: list[Any]
    values: dict[int, int]


def here() -> None:
    """Stands for a read among the calls of a script."""


class Script:
    """A segment that can be followed."""

    __slots__ = (
        "__weakref__", "after", "alive", "calls", "early", "leaves", "ops", "programs", "reads", "results", "shared",
    )  # fmt: skip

    def __init__(self, calls: list[Any], leaves: list[Leaf], results: list[Result], alive: tuple[int, ...]) -> None:
        self.calls, self.leaves, self.results, self.alive = calls, leaves, results, alive
        self.programs: list[Any] = []
        self.reads: dict[int, Read] = {}  # by the number of the call
        self.early: dict[int, int] = {}  # values alive at the end that a read has computed: the numbers of these
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
            and [p.graph for p in self.all_programs()] == [p.graph for p in other.all_programs()]
            and [c and (c.f, c.grad) for c in self.calls] == [c and (c.f, c.grad) for c in other.calls]
        )

    def all_programs(self) -> list[Any]:
        return [p for r in self.reads.values() for p in r.programs] + self.programs


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

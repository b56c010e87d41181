"""What is known of graphs and of their executables, and how these get their arguments."""

from __future__ import annotations

import operator
from sys import getrefcount
from types import SimpleNamespace
from typing import Any

import numpy as np

from .. import devices
from ..devices import HostArray, spares
from ..lazy import metrics
from ..lazy.graph import HostValue, Node, scalar
from . import by_numpy, lengths

# What counting the references to an object itself holds, which differs between versions of Python: of one in a list, and
# of an attribute.
REFERENCES = next(map(getrefcount, [object()]))
_holder = SimpleNamespace(buffer=object())
OF_ATTRIBUTE = getrefcount(_holder.buffer)


class Variant:
    """One executable of a graph: with some scalars baked in and others as arguments, some arguments donated, and some
    results bundled."""

    __slots__ = ("baked", "bundled", "donated", "executable", "lifted", "packed", "sent")

    def __init__(
        self, executable: Any, lifted: frozenset[int], baked: dict[int, bytes], packed: Any, donated: Any, bundled: Any
    ) -> None:
        self.executable, self.lifted, self.baked, self.packed, self.donated = executable, lifted, baked, packed, donated
        self.bundled = bundled
        self.sent: dict[Any, tuple[Any, bytes, Any]] = {}  # by type, the numbers that went last, their bytes and buffer


class Graph:
    """What is known of a graph's structure: where its leaves, host values and results are, and its executables."""

    __slots__ = (
        "alone", "by_numpy", "counts", "cuts", "dying", "expected", "hosts", "interior", "key", "kind", "leaves", "lengths",
        "padded", "padded_runs", "roots", "scalars", "variants",
    )  # fmt: skip

    def __init__(self, order: list[Node], roots: list[int], key: tuple[Any, ...]) -> None:
        self.key, self.roots = key, roots
        self.hosts = [i for i, n in enumerate(order) if isinstance(n, HostValue)]
        self.scalars = [i for i in self.hosts if order[i].sig.op is scalar]
        self.leaves = [i for i, n in enumerate(order) if n.buffer is not None and not isinstance(n, HostValue)]
        self.expected = [REFERENCES] * len(order)
        for n in order:
            if n.buffer is None:
                for x in n.inputs:
                    self.expected[x.mark] += 1
        inner = set(range(len(order))) - set(roots) - set(self.leaves)
        self.interior = sorted(inner)
        self.variants: list[Variant] = []
        self.cuts = 0  # times that it was run without its front (see fronts)
        self.counts: list[int] = []
        self.dying: frozenset[int] = frozenset()
        self.lengths = lengths.comes_in_lengths(order, roots)
        self.padded: lengths.Padded | None = None
        self.padded_runs = 0
        self.kind: Any = None  # among programs that may never come back (see storms)
        self.by_numpy: Variant | bool | None = by_numpy.enabled[0]  # True: not looked at
        self.alone: Variant | bool | None = by_numpy.enabled[0]  # the same, in eager mode


def held_elsewhere(node: Node) -> bool:
    """Whether somebody else refers to a node's buffer, or it is the user's own memory."""
    if type(node.buffer) is HostArray:
        return True
    if getrefcount(node.buffer) <= OF_ATTRIBUTE:
        return False
    return not spares.forget(node.buffer) or getrefcount(node.buffer) > OF_ATTRIBUTE


def arguments_of(variant: Variant, graph: Graph, buffers: list[Any], values: dict[int, np.ndarray], device: Any) -> list[Any]:
    if variant is graph.by_numpy or variant is graph.alone:
        return buffers + [values[i] for i in graph.hosts]
    return [_on(b, device) for b in buffers] + _packed(variant, values, device)


def _on(buffer: Any, device: Any) -> Any:
    return buffer.on(device) if type(buffer) is HostArray else buffer


def _packed(variant: Variant, values: dict[int, np.ndarray], device: Any) -> list[Any]:
    """The host values that are arguments, those of a type in one vector; that of the last run where it is the same."""
    found = []
    for dtype, places in variant.packed.items():
        given = [values[i] for i in places]
        last, digits, buffer = variant.sent.get(dtype, ((), None, None))
        if not (last and all(map(operator.is_, given, last))):
            vector, before = np.concatenate([v.reshape(-1) for v in given]), digits
            digits = vector.tobytes()
            if digits != before:
                buffer = devices.put_small(vector, device)
            variant.sent[dtype] = given, digits, buffer
        found.append(buffer)
    return found


def count(graph: Graph, variant: Variant) -> None:
    metrics.count("executions")
    metrics.count("ops_executed", len(graph.interior) + len(graph.roots) - len(graph.hosts))
    if variant.donated:
        metrics.count("donated_buffers", len(variant.donated))

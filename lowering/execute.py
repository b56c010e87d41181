"""Running pending graphs: key the structure, find or compile its executable, hand over arguments, keep results.

A graph's key is its signatures, how they are connected, and which results are wanted. Numbers of the user's program
(``scalar`` nodes) are not in the key: the first executable has them baked in, and when the graph comes back alike but
for some of them, those become arguments.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from sys import getrefcount
from typing import Any

import numpy as np

from .. import devices
from ..devices import HostArray
from ..lazy import metrics
from ..lazy.graph import HostValue, Node, argument, scalar
from ..lazy.record import sockets
from . import cache, explain
from .emit import Plan
from .structure import structure

MAX_GRAPHS = 2048
_REFERENCES = 2  # what `map(getrefcount, order)` itself holds of each node: the list and the call


class Variant:
    """One executable of a graph: with some scalars baked in and others as arguments, and some arguments donated."""

    __slots__ = ("baked", "donated", "executable", "lifted", "packed")

    def __init__(self, executable: Any, lifted: frozenset[int], baked: dict[int, bytes], packed: Any, donated: Any) -> None:
        self.executable, self.lifted, self.baked, self.packed, self.donated = executable, lifted, baked, packed, donated


class Graph:
    """What is known of a graph's structure: where its leaves, host values and results are, and its executables."""

    __slots__ = ("counts", "dying", "expected", "hosts", "interior", "key", "leaves", "roots", "scalars", "variants")

    def __init__(self, order: list[Node], roots: list[int], key: tuple[Any, ...]) -> None:
        self.key, self.roots = key, roots
        self.hosts = [i for i, n in enumerate(order) if isinstance(n, HostValue)]
        self.scalars = [i for i in self.hosts if order[i].sig.op is scalar]
        self.leaves = [i for i, n in enumerate(order) if n.buffer is not None and not isinstance(n, HostValue)]
        self.expected = [_REFERENCES] * len(order)
        for n in order:
            if n.buffer is None:
                for x in n.inputs:
                    self.expected[x.mark] += 1
        inner = set(range(len(order))) - set(roots) - set(self.leaves)
        self.interior = sorted(inner)
        self.variants: list[Variant] = []
        self.counts: list[int] = []
        self.dying: frozenset[int] = frozenset()


_graphs: OrderedDict[tuple[Any, ...], Graph] = OrderedDict()
_lock = threading.RLock()


def execute(roots: list[Node], cause: str) -> None:
    """Give each of ``roots`` (nodes of one device) its buffer; nothing is waited for."""
    with _lock:
        if any(n.buffer is None for n in roots):  # no other thread has run them meanwhile
            _execute(roots, cause)


def _execute(roots: list[Node], cause: str) -> None:
    order, key = structure(roots)
    places = sorted({n.mark for n in roots if n.buffer is None})
    key.extend(places)
    found = tuple(key)
    graph = _graphs.get(found)
    if graph is None:
        graph = _graphs[found] = Graph(order, places, found)
        if len(_graphs) > MAX_GRAPHS:
            _graphs.popitem(last=False)
    else:
        _graphs.move_to_end(found)
    _run(graph, order, cause)


def _run(graph: Graph, order: list[Node], cause: str) -> None:
    dying = _dying(graph, order)
    variant = _variant(graph, order, dying, cause)
    device = order[graph.roots[0]].sig.aval.device
    arguments = []
    for i in graph.leaves:
        buffer = order[i].buffer
        arguments.append(buffer.on(device) if type(buffer) is HostArray else buffer)
    for dtype, places in variant.packed.items():
        vector = np.empty(sum(order[i].sig.aval.size for i in places), dtype.numpy)
        at = 0
        for i in places:
            value = order[i].value  # type: ignore[attr-defined]
            vector[at : at + value.size] = value.reshape(-1)
            at += value.size
        arguments.append(devices.put_small(vector, device))
    try:
        results = variant.executable.run(arguments)
    except devices.RuntimeFailure as e:
        raise explain.execution_failure(e, graph, order, variant) from None
    for i, buffer in zip(graph.roots, results):
        node = order[i]
        node.buffer = buffer
        node.inputs = ()
    metrics.count("executions")
    metrics.count("ops_executed", len(graph.interior) + len(graph.roots) - len(graph.hosts))
    if variant.donated:
        metrics.count("donated_buffers", len(variant.donated))


def _dying(graph: Graph, order: list[Node]) -> frozenset[int]:
    """The leaves (as indices into graph.leaves) that nothing will refer to after this run."""
    counts = list(map(getrefcount, order))
    if counts != graph.counts:
        graph.counts = counts
        expected = graph.expected
        kept = {i for i in graph.interior if counts[i] > expected[i]}
        if kept:  # an uncomputed node that somebody holds will need its own leaves again
            for i in reversed(range(len(order))):
                if i in kept and order[i].buffer is None:
                    kept.update(x.mark for x in order[i].inputs)
        graph.dying = frozenset(
            k for k, i in enumerate(graph.leaves) if counts[i] <= expected[i] and i not in kept
        )
    return frozenset(
        k for k in graph.dying
        if type(order[graph.leaves[k]].buffer) is not HostArray and getrefcount(order[graph.leaves[k]].buffer) <= 2
    )  # fmt: skip


def _variant(graph: Graph, order: list[Node], dying: frozenset[int], cause: str) -> Variant:
    """An executable that fits: its baked numbers are ours, and it consumes nothing that must live on."""
    values = {i: order[i].value.tobytes() for i in graph.scalars}  # type: ignore[attr-defined]
    for variant in graph.variants:
        if variant.donated.keys() <= dying and all(values[i] == v for i, v in variant.baked.items()):
            metrics.count("cache_hits")
            return variant
    lifted, why = _to_lift(graph, values, cause)
    packed: dict[Any, list[int]] = {}
    for i in graph.hosts:
        if order[i].sig.op is argument or i in lifted:
            packed.setdefault(order[i].sig.aval.dtype, []).append(i)
    donated = _successors(graph, order, dying)
    plan = Plan(order, graph.roots, graph.leaves, packed, donated)
    if not why:
        if graph.variants:
            why = "an argument that was given away before is now still in use"
        else:
            why = explain.difference(graph, order, _graphs)
    executable = cache.executable(plan, why, graph)
    baked = {i: v for i, v in values.items() if i not in lifted}
    variant = Variant(executable, lifted, baked, packed, donated)
    graph.variants.insert(0, variant)
    del graph.variants[8:]
    return variant


def _to_lift(graph: Graph, values: dict[int, bytes], cause: str) -> tuple[frozenset[int], str]:
    """Which numbers become arguments, and why."""
    if cause == "repeats":
        return frozenset(graph.scalars), "" if not graph.variants else "a repeated piece changed"
    if not graph.variants:
        return frozenset(), ""
    nearest = graph.variants[0]
    varying = {i for i, v in nearest.baked.items() if values[i] != v}
    if not varying:
        return nearest.lifted, ""
    if nearest.lifted:
        return frozenset(graph.scalars), "more numbers of the program vary; all of them are arguments now"
    return nearest.lifted | varying, f"{len(varying)} number(s) of the program vary and become arguments"


def _successors(graph: Graph, order: list[Node], dying: frozenset[int]) -> dict[int, int]:
    """For each dying argument, the result that may take over its buffer: one of its type, nearest in the graph."""
    candidates = {graph.leaves[k]: k for k in dying}
    taken: dict[int, int] = {}
    pairs = []
    for r, i in enumerate(graph.roots):
        aval = order[i].sig.aval
        for distance, j in _same_typed_ancestors(order, i, aval):
            if j in candidates:
                pairs.append((distance, r, candidates[j]))
    used: set[int] = set()
    for _, r, k in sorted(pairs):
        if k not in taken and r not in used:
            taken[k] = r
            used.add(r)
    return dict(sorted(taken.items()))


def _same_typed_ancestors(order: list[Node], root: int, aval: Any) -> list[tuple[int, int]]:
    """Leaves of the type reachable from a node through nodes of the type, with their distances (a few at most)."""
    found = []
    level, seen = [root], {root}
    for distance in range(12):
        below = []
        for i in level:
            node = order[i]
            if node.buffer is not None:
                found.append((distance, i))
                continue
            for x in node.inputs:
                if x.sig.aval is aval and x.mark not in seen:
                    seen.add(x.mark)
                    below.append(x.mark)
        level = below[:16]
        if not level:
            break
    return found


def clear_cache() -> None:
    """Forget every graph and executable held in memory."""
    with _lock:
        _graphs.clear()
        cache.clear()


sockets.execute = execute
__all__ = ["Graph", "Variant", "clear_cache", "execute"]

"""Running pending graphs: key the structure, find or compile its executable, hand over arguments, keep results.

A graph's key is its signatures, how they are connected, and which results are wanted. Numbers of the user's program
(``scalar`` nodes) are not in the key: the first executable has them baked in, and when the graph comes back alike but
for some of them, those become arguments.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from sys import getrefcount
from typing import Any

import numpy as np

from .. import devices
from ..lazy import metrics, ops, precision
from ..lazy.graph import Node, argument, computed_as
from ..lazy.record import live, sockets
from ..lazy.replay import starts
from . import bundles, by_numpy, cache, explain, fronts, growth, lengths, numbers, profiling, storms
from .emit import Plan
from .graphs import Graph, Variant, arguments_of, count, held_elsewhere
from .passes import finished
from .structure import structure

MAX_GRAPHS = 2048


_graphs: OrderedDict[tuple[Any, ...], Graph] = OrderedDict()
_lock = devices.forks.renewed(threading.RLock())


def execute(roots: list[Node], cause: str) -> Again | None:
    """Give each of ``roots`` (nodes of one device) its buffer; nothing is waited for. Gives what ran."""
    if roots and roots[0].sig.aval.device.is_meta:
        for n in roots:
            computed_as(n, devices.NO_VALUES)
        return None
    if devices.forks.forked:
        devices.forks.refuse()
    with _lock:
        if any(n.buffer is None for n in roots):  # no other thread has run them meanwhile
            return _execute(roots, cause)
    return None


def _execute(roots: list[Node], cause: str, kind: storms.Kind | None = None) -> Again | None:
    """``kind``: of the program that this is the rest of (see fronts)."""
    order, places, found = _structure(roots)
    graph = _graphs.get(found)
    if graph is None:
        copies = [n for n in order if n.buffer is None and n.sig.op is ops.copy and n.inputs[0].buffer is not None]
        if copies and by_numpy.allowed(cause, True):
            del order  # it would keep the arguments alive
            if _copied_apart(copies, roots, cause):
                return None
            order, places, found = _structure(roots)
        graph = _graphs[found] = Graph(order, places, found)
        graph.kind = kind or storms.kind_of(graph, order)
        if cause == "grows" and graph.kind is not None:
            graph.kind.grows()
        if graph.lengths is None:
            _look_for_growth(graph, order, cause)
        if len(_graphs) > MAX_GRAPHS:
            _graphs.popitem(last=False)
    else:
        _graphs.move_to_end(found)
    dying = _dying(graph, order)
    kept = cause == "a compiled function"  # as the program for arguments of just these types
    if graph.lengths is not None and not kept and _run_padded(graph, graph.lengths, order, dying):
        return None
    if by_numpy.allowed(cause, True) and fronts.taken(graph, order):  # not before that: it would put lists together
        if any(n.buffer is None for n in roots):
            _execute(roots, cause, graph.kind)
        return None
    variant, arrays = _run(graph, order, dying, cause)
    return Again(graph, order, variant.bundled, arrays)


def _structure(roots: list[Node]) -> tuple[list[Node], list[int], tuple[Any, ...]]:
    """The graph of ``roots`` in order, the places of the results in it, and its key."""
    order, key = structure(roots)
    places = sorted({n.mark for n in roots if n.buffer is None})
    key.extend(places)
    if precision.current[0] != "highest":
        key.append(precision.current[0])
    return order, places, tuple(key)


def _copied_apart(copies: list[Node], roots: list[Node], cause: str) -> bool:
    """Whether all has been run as two programs, the copies of values that are there first, because that leaves a known one:
    the best weights so far happen to be kept before a step, or loaded, and the rest is the step as ever."""
    apart = set(copies)
    rest = [n for n in roots if n.buffer is None and n not in apart]
    for n in copies:
        n.buffer = n.inputs[0].buffer  # what the rest would look like
    try:
        known = _graphs.get(_structure(rest)[2]) if rest else None
    finally:
        for n in copies:
            n.buffer = None
    if known is None or not known.variants:
        return False
    _execute(copies, cause)
    apart.clear()
    copies.clear()  # what was loaded is an argument now, to be given away
    del n
    _execute(rest, cause)
    return True


def _look_for_growth(graph: Graph, order: list[Node], cause: str) -> None:
    """Let a new graph that makes something longer be padded, unless NumPy is the quicker way."""
    growing = growth.growing(order, graph.roots, known=cause == "grows")
    if growing is None:
        return
    kind: storms.Kind | None = graph.kind
    instead = kind.instead(graph, order, shared=True) if kind is not None and by_numpy.allowed(cause, True) else None
    if instead is not None:
        graph.by_numpy = instead
    else:
        graph.lengths = growing


def _run_padded(graph: Graph, kind: lengths.Kind, order: list[Node], dying: frozenset[int]) -> bool:
    """Run the program that serves this graph and those that have other numbers of trips; False if there is to be none."""
    graph.padded_runs += 1
    found = graph.padded
    if kind.stands_alone(graph.padded_runs):
        found = None
    elif found is None or not found.fits(order, dying):
        found = kind.program(graph, order, dying, _successors)
    graph.padded = found
    if found is None:
        graph.lengths = None
        return False
    try:
        found.run(order, order[graph.roots[0]].sig.aval.device)
    except devices.RuntimeFailure as e:
        raise explain.execution_failure(e, graph, order, found) from None
    return True


def _run(graph: Graph, order: list[Node], dying: frozenset[int], cause: str) -> tuple[Variant, list[Node]]:
    """Gives what ran, and the arrays of bundled results."""
    variant = _variant(graph, order, dying, cause)
    device = order[graph.roots[0]].sig.aval.device
    values = {i: order[i].value for i in graph.hosts}  # type: ignore[attr-defined]
    arguments = arguments_of(variant, graph, [order[i].buffer for i in graph.leaves], values, device)
    last = order[graph.roots[-1]]
    try:
        results = profiling.run(variant.executable, arguments, last.sig, last.code, last.lasti)
    except devices.RuntimeFailure as e:
        raise explain.execution_failure(e, graph, order, variant) from None
    arrays: list[Node] = []
    if variant.bundled is not None:
        arrays = bundles.settle(variant.bundled, order, graph.roots, results)
    else:
        for i, buffer in zip(graph.roots, results):
            computed_as(order[i], buffer)
    count(graph, variant)
    return variant, arrays


class Again:
    """A graph that ran, to be run again on other values without its nodes (see lazy/replay)."""

    def __init__(self, graph: Graph, order: list[Node], bundled: bundles.Bundled | None, arrays: list[Node]) -> None:
        self.graph, self.bundled = graph, bundled
        self.order: list[Node] | None = order
        self.arrays = arrays  # of bundled results
        self.device = order[graph.roots[0]].sig.aval.device

    def nodes(self) -> list[Node]:
        """Those whose values the run computed, in the order of its results."""
        order, roots = self.order, self.graph.roots
        places = roots if self.bundled is None else [roots[r] for r in self.bundled.singles]
        return [] if order is None else [*(order[i] for i in places), *self.arrays]

    def consumes(self) -> bool:
        """Whether no executable is there that leaves its arguments as they are."""
        return all(v.donated for v in self.graph.variants) and not isinstance(self.graph.by_numpy, Variant)

    def sources(self) -> list[Node]:
        """Those whose values the run took."""
        return [] if self.order is None else [self.order[i] for i in (*self.graph.leaves, *self.graph.hosts)]

    def link(
        self, leaves: dict[Any, int], draws: dict[Any, int], numbers: dict[Any, Any], wanted: dict[Node, list[int]]
    ) -> bool:
        """Say by number where each value comes from: ``leaves`` that were there, ``draws`` of random numbers, ``numbers``
        of calls; and who wants the results. False where a value comes from elsewhere. Forgets the nodes."""
        order, graph, made = self.order, self.graph, self.nodes()
        assert order is not None
        self.order, self.arrays = None, []
        self.agrees: dict[Variant, tuple[bool, list[int]]] = {}
        self.values = {i: order[i].value for i in graph.hosts}  # type: ignore[attr-defined]
        self.hosts: list[tuple[int, str, Any]] = []
        self.leaves: list[int] = []
        for i in graph.leaves:
            k = leaves.get(order[i])
            if k is None:
                return False
            self.leaves.append(k)
        for i in graph.hosts:
            for kind, sources in (("leaf", leaves), ("draw", draws), ("number", numbers)):
                if order[i] in sources:
                    self.hosts.append((i, kind, sources[order[i]]))
        self.wanted = [wanted.get(n, ()) for n in made]
        self.made = [(n.sig, n.code, n.lasti) for n in made]
        return True

    def prepare(
        self, nodes: list[Any], held: Mapping[int, int], keys: list[Any], numbers: dict[int, Any]
    ) -> tuple[Variant, list[Any]] | None:
        """An executable that fits, and its arguments; None where there is none yet, or what it consumes is in use.

        ``nodes`` are those of the leaves; ``held`` counts, by id of a node, the references to it that do not matter.
        """
        values = self.values
        for i, kind, k in self.hosts:
            if kind == "draw":
                values[i] = keys[k]
            elif kind == "leaf":
                values[i] = nodes[k].value
            else:
                values[i] = np.asarray(numbers.get(k[0], k[1])).astype(values[i].dtype)
        for variant in _known(self.graph, nodes, self.leaves):
            if variant.bundled is self.bundled and self._agrees(variant) and _free(nodes, self.leaves, variant.donated, held):
                break
        else:
            return None
        return variant, arguments_of(variant, self.graph, [nodes[k].buffer for k in self.leaves], values, self.device)

    def _agrees(self, variant: Variant) -> bool:
        """Whether the numbers that are part of an executable are ours; those that never change are compared once."""
        fixed = self.agrees.get(variant)
        if fixed is None:
            varying = {i for i, _, _ in self.hosts}
            fixed = self.agrees[variant] = (
                all(self.values[i].tobytes() == v for i, v in variant.baked.items() if i not in varying),
                [i for i in variant.baked if i in varying],
            )
        return fixed[0] and all(self.values[i].tobytes() == variant.baked[i] for i in fixed[1])

    def run(self, variant: Variant, arguments: list[Any]) -> dict[int, Node]:
        """Nodes with the computed buffers, by the number of who wants them."""
        try:
            results = profiling.run(variant.executable, arguments, *self.made[-1])
        except devices.RuntimeFailure as e:
            raise explain.replay_failure(e, self.made, arguments, variant) from None
        found: dict[int, Node] = {}
        for (sig, code, lasti), wanted, buffer in zip(self.made, self.wanted, results):
            if wanted:
                node = Node(sig, (), code, lasti)
                node.buffer = buffer
                for k in wanted:
                    found[k] = node
        metrics.count("cache_hits")
        count(self.graph, variant)
        return found


def _free(nodes: list[Any], leaves: list[int], donated: Iterable[int], held: Mapping[int, int]) -> bool:
    """Whether nothing refers to the leaves that are given away but those that let go of them."""
    for k in donated:
        node = nodes[leaves[k]]
        if getrefcount(node) > _OURS + held.get(id(node), 0):
            return False
        if held_elsewhere(node):
            return False
    return True


def _in_a_list(nodes: list[Any]) -> int:
    node = nodes[0]
    return getrefcount(node)


_OURS = _in_a_list([object()])  # references to a node that `_free` asks about


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
    return frozenset(k for k in graph.dying if not held_elsewhere(order[graph.leaves[k]]))


def _variant(graph: Graph, order: list[Node], dying: frozenset[int], cause: str) -> Variant:
    """An executable that fits: its baked numbers are ours, and it consumes nothing that must live on."""
    found = _by_numpy(graph, order, cause)
    if found is not None:
        return found
    values = {i: order[i].value.tobytes() for i in graph.scalars}  # type: ignore[attr-defined]
    kind: storms.Kind | None = graph.kind
    for variant in graph.variants:
        if variant.donated.keys() <= dying and all(values[i] == v for i, v in variant.baked.items()):
            metrics.count("cache_hits")
            return variant
    if kind is not None and not graph.variants and not isinstance(graph.by_numpy, Variant) and by_numpy.allowed(cause, True):
        instead = kind.instead(graph, order)
        if instead is not None:
            graph.by_numpy = instead
            return instead
    lifted, why = numbers.to_lift(graph, order, values, cause)
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
    bundled = bundles.bundled(plan, _held)
    if bundled is None:
        executable = cache.executable(plan, why, graph)
    else:
        executable = cache.as_it_is(bundled.plan, finished(bundled.plan), why)
    if kind is not None:
        kind.programs += 1
    baked = {i: v for i, v in values.items() if i not in lifted}
    variant = Variant(executable, lifted, baked, packed, donated, bundled)
    graph.variants.insert(0, variant)
    graph.variants.sort(key=lambda v: -len(v.donated))  # first those that give most away
    del graph.variants[8:]
    if cache.crowded():
        _forget_half()
    return variant


def _known(graph: Graph, nodes: list[Any], leaves: list[int]) -> list[Variant]:
    """The executables of a graph, or what NumPy does in their place."""
    found = graph.by_numpy
    if isinstance(found, Variant) and found.executable.fits(by_numpy.on_host(nodes, leaves)):
        return [found]
    return graph.variants


def _by_numpy(graph: Graph, order: list[Node], cause: str) -> Variant | None:
    """What NumPy does in place of an executable, where that is the better way to run a graph now."""
    if cause == "eager":
        if graph.alone is True:
            graph.alone = _variant_by(by_numpy.alone(order, graph.roots, graph.leaves, graph.hosts), graph)
        return graph.alone or None
    if not graph.by_numpy:
        return None
    on_host = by_numpy.on_host(order, graph.leaves)
    known = graph.by_numpy if isinstance(graph.by_numpy, Variant) else None
    if not by_numpy.allowed(cause, on_host or (known is not None and known.executable.waits)):
        return None
    if graph.by_numpy is True:
        graph.by_numpy = _variant_by(by_numpy.by_numpy(order, graph.roots, graph.leaves, graph.hosts), graph)
    found = graph.by_numpy
    return found if isinstance(found, Variant) and found.executable.fits(on_host) else None


def _variant_by(made: by_numpy.ByNumpy | None, graph: Graph) -> Variant | None:
    return None if made is None else Variant(made, frozenset(graph.scalars), {}, {}, {}, None)


def _forget_half() -> None:
    """Forget the graphs and executables that were used longest ago, and the scripts, which hold on to theirs."""
    for _ in range(len(_graphs) // 2):
        _graphs.popitem(last=False)
    cache.forget_half()
    lengths.forget()
    growth.forget()
    storms.forget()
    starts.forget()


def _held() -> set[Node]:
    """The values of tensors that live: they are results of their own."""
    return {t._node for t in (ref() for ref in live) if t is not None and t._node is not None}


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
        numbers.forget()
        lengths.forget()
        growth.forget()
        storms.forget()
        cache.clear()
        starts.forget()


sockets.execute = execute
__all__ = ["Graph", "Variant", "clear_cache", "execute"]

"""Programs that come back with another number of trips each time: an episode, a sentence, a list of losses.

Each is a graph of its own. When the third comes that has the same ops, and only more or fewer of them, its loops are
padded (see ``padded``) to a power of two: one executable then serves all lengths up to that, and how many there are is
bounded whatever lengths come.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .. import devices
from ..devices.switches import is_on
from ..lazy import metrics
from ..lazy.graph import Node, TypeRuleError, after_inputs, argument, computed_as, leaf
from . import bundles, cache, profiling
from .emit import Plan, module_of
from .nodes import needed
from .padded import Padding
from .rolling import analysis
from .rolling.loop import WHILE
from .rolling.rewrite import Rewriter
from .rooms import become_part
from .sizes import LEAST, Sizes, Unpadded, other_rows

enabled = [is_on("LAZYXLA_PAD")]
SMALLEST = 16  # trips to which fewer are padded
FEW = 64  # ops of a graph that is not looked at: it compiles in no time
LENGTHS = 2  # how many lengths are compiled as they are before any is padded
OWN = 8  # runs of one length after which it gets a program of its own, which takes less Python; the next, after twice as many


class Kind:
    """Graphs of the same ops in other numbers, and of results of the same types but for vectors."""

    def __init__(self) -> None:
        self.met: set[int] = set()  # the numbers of ops
        self.due = OWN

    def stands_alone(self, runs: int) -> bool:
        """Whether a graph of the kind that is run for this time gets a program of its own. As that takes ever more runs,
        there are few such programs, whatever lengths come."""
        if runs <= self.due:
            return False
        self.due *= 2
        return True

    def program(self, graph: Any, order: list[Node], dying: frozenset[int], successors: Any) -> Padded | None:
        """A graph of the kind as a padded program; None where it has nothing to pad, or an op that cannot be."""
        return padded(graph, order, dying, successors)


_kinds: dict[Any, Kind] = {}


def forget() -> None:
    _kinds.clear()


class Padded:
    """A graph's padded program, and where its arguments are in the graph."""

    def __init__(self, executable: Any, taken: list[Any], packed: list[list[Any]], roots: list[int]) -> None:
        self.executable, self.taken, self.packed, self.roots = executable, taken, packed, roots
        self.baked: dict[int, bytes] = {}
        self.donated: dict[int, int] = {}
        self.arrays: list[tuple[Any, list[tuple[int, int]]]] = []  # results after the roots: type, and places that are rows
        self.longer: dict[int, tuple[Any, tuple[int, ...]]] = {}  # by root: its padded type, and the dims that are open
        self.size = 0

    def fits(self, order: Sequence[Node], dying: frozenset[int]) -> bool:
        """Whether the numbers that are part of it are those of the graph now, and nothing it consumes must live on."""
        return self.donated.keys() <= dying and all(
            order[i].value.tobytes() == v for i, v in self.baked.items()  # type: ignore[attr-defined]
        )

    def run(self, order: Sequence[Node], device: devices.Device) -> None:
        arguments: list[Any] = []
        for i, shape in self.taken:
            buffer = order[i].buffer
            if shape is not None and order[i].sig.aval.shape != shape:
                array = devices.to_numpy(buffer)
                edges = [(0, b - a) for a, b in zip(array.shape, shape)]
                buffer = devices.put(np.pad(array, edges), device)
            elif type(buffer) is devices.HostArray:
                buffer = buffer.on(device)
            arguments.append(buffer)
        for places in self.packed:
            values = [order[x].value if type(x) is int else x for x in places]  # type: ignore[attr-defined]
            arguments.append(devices.put_small(np.concatenate([np.reshape(v, -1) for v in values]), device))
        last = order[self.roots[-1] if self.roots else self.arrays[-1][1][-1][0]]
        results = profiling.run(self.executable, arguments, last.sig, last.code, last.lasti)
        for i, buffer in zip(self.roots, results):
            if i in self.longer:
                become_part(order[i], *self.longer[i], buffer)
            else:
                computed_as(order[i], buffer)
        for (aval, rows), buffer in zip(self.arrays, results[len(self.roots) :]):
            bundles.become_rows([(order[i], at) for i, at in rows], leaf(aval, buffer), bundles.numbered)
        metrics.count("executions")
        metrics.count("lengths_padded")
        metrics.count("ops_executed", len(order) - len(self.taken))


def comes_in_lengths(order: Sequence[Node], roots: Sequence[int]) -> Kind | None:
    """The kind, where graphs of it but of other numbers of ops were met before, so often that this one is padded."""
    if not enabled[0] or len(order) < FEW:
        return None
    kinds = frozenset([n.sig.op for n in order]), frozenset([order[i].sig.aval for i in roots if order[i].sig.aval.ndim != 1])
    if len(_kinds) > 4096:
        _kinds.clear()
    kind = _kinds.setdefault(kinds, Kind())
    if len(kind.met) >= LENGTHS:
        return None if len(order) in kind.met else kind
    kind.met.add(len(order))
    return None


def padded(graph: Any, order: list[Node], dying: frozenset[int], successors: Any) -> Padded | None:
    """The graph with its loops padded; None where it has none, or an op that cannot be."""
    packed = [i for i in graph.hosts if order[i].sig.op is argument]
    plan = Plan(order, graph.roots, graph.leaves, {None: packed} if packed else {}, {})
    arguments = {order[i] for i in packed}
    found = analysis(plan)
    pieces = [] if found is None else [p for p in found.pieces if p.run.trips >= LEAST]
    if found is None or not pieces:
        return None
    values = Rewriter(found.arranged, pieces, arguments, [order[i] for i in graph.roots]).result()
    arrays = bundles.arrays_of(enumerate(values), LEAST)  # a list of losses, one a step
    inside = {k for rows in arrays.values() for k, _ in rows}
    singles = [v for k, v in enumerate(values) if k not in inside]
    new_order = after_inputs([*singles, *arrays], lambda n: () if n.buffer is not None else other_rows(n))
    for vectors in (True, False):
        try:
            sizes = Sizes(new_order, vectors=vectors)
            p = Padding(new_order, sizes, size_for(new_order, sizes), arguments)
            wanted = [k for k, v in enumerate(values) if k not in inside and not sizes.any_open(v)]
            if any(sizes.of(array, 0) is None for array in arrays):
                raise Unpadded("rows of what is of a fixed size")
            if not p.rows and not any(n.sig.op is WHILE for n in new_order):
                return None
            if not wanted and not arrays:  # it would compute nothing
                return None
            _can_wait([v for v in singles if sizes.any_open(v)])
            break
        except (Unpadded, TypeRuleError):  # the latter where a size was not found to be open
            pass
    else:
        return None
    why = f"known ops in another number: from now on one program for up to {p.size} trips"
    return link(graph, order, p, [(k, p.new[values[k]]) for k in wanted], arrays, dying, successors, why)


def size_for(order: Sequence[Node], sizes: Sizes) -> int:
    """The power of two up to which the open dims of a program are padded."""
    real = [real for n in order for real in _open_sizes(sizes, n)]
    return max([SMALLEST, *(1 << (r - 1).bit_length() for r in real)])


def _open_sizes(sizes: Sizes, n: Node) -> list[int]:
    several = getattr(n.sig.aval, "elements", None)
    pairs: list[tuple[int | None, Any]] = [(None, n.sig.aval)] if several is None else list(enumerate(several))
    found = [(aval.shape[d], sizes.of(n, d, k)) for k, aval in pairs for d in range(aval.ndim)]
    return [size // sizes.size(v, 1) for size, v in found if v is not None]


def _can_wait(roots: list[Node]) -> None:
    """Results of an open size are not computed: they stay pending, which nobody notices if nobody reads them. But what
    a loop computed is too much to be done again."""
    if any(n.sig.op is WHILE for n in after_inputs(roots, lambda n: () if n.buffer is not None else n.inputs)):
        raise Unpadded("a result of an open size that a loop computes")


def link(
    graph: Any, order: list[Node], p: Padding, results: list[tuple[int, Node]], arrays: dict[Node, list[tuple[int, int]]],
    dying: frozenset[int], successors: Any, why: str, longer: Mapping[int, tuple[int, ...]] | None = None,
) -> Padded:  # fmt: skip
    """The program compiled, with its arguments as places in the graph's order. ``results``: by number of the graph's root;
    ``longer``: the open dims of those that are given padded."""
    longer = longer or {}
    place = {n: i for i, n in enumerate(order)}
    given_back = [*(n for _, n in results), *(p.new[array] for array in arrays)]
    # What nobody needs, such as the number of a row that is counted from the end now, would make each length another program.
    nodes = needed(p.order, [*given_back, *p.leaves()])
    at = {n: i for i, n in enumerate(nodes)}
    leaves: list[int] = []
    taken: list[tuple[int, Any]] = []
    number = {i: k for k, i in enumerate(graph.leaves)}
    own: dict[int, int] = {}  # index in graph.leaves -> index in ours
    for old, new in p.given:
        own[number[place[old]]] = len(leaves)
        leaves.append(at[new])
        taken.append((place[old], None))
    for old, new in p.padded:
        leaves.append(at[new])
        taken.append((place[old], new.sig.aval.shape))
    for olds, news in p.rows:
        for k, new in enumerate(news):
            leaves.append(at[new])
            taken.append((place[olds[k]] if k < len(olds) else place[olds[0]], None))
    packed: dict[Any, list[int]] = {}
    values: dict[Any, list[Any]] = {}
    for host, new in p.hosts:
        dtype = new.sig.aval.dtype
        packed.setdefault(dtype, []).append(at[new])
        known = place.get(host) if host is not None else None
        values.setdefault(dtype, []).append(new.value if known is None else known)  # type: ignore[attr-defined]
    roots = [k for k, _ in results]
    several = {i for i, times in Counter(i for i, _ in taken).items() if times > 1}
    done = {*roots, *(k for rows in arrays.values() for k, _ in rows)}
    below = after_inputs([order[i] for r, i in enumerate(graph.roots) if r not in done], lambda n: n.inputs)
    kept = {place[n] for n in below if n in place}
    free = frozenset(k for k in dying if k in own and graph.leaves[k] not in several | kept)
    chosen = {k: roots.index(r) for k, r in successors(graph, order, free).items() if r in roots and r not in longer}
    plan = Plan(nodes, [at[n] for n in given_back], leaves, packed, {own[k]: r for k, r in chosen.items()})
    made = Padded(cache.as_it_is(plan, module_of(plan), why), taken, list(values.values()), [graph.roots[k] for k in roots])
    given = {x for places in values.values() for x in places if type(x) is int}
    made.longer = {graph.roots[k]: (n.sig.aval, longer[k]) for k, n in results if k in longer}
    made.baked = {i: order[i].value.tobytes() for i in graph.hosts if i not in given}  # type: ignore[attr-defined]
    made.donated = chosen
    made.arrays = [(p.new[a].sig.aval, [(graph.roots[k], row) for k, row in rows]) for a, rows in arrays.items()]
    made.size = p.size
    return made


__all__ = ["Kind", "Padded", "comes_in_lengths", "enabled", "forget", "padded"]

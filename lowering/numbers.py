"""Which numbers of the user's program are arguments of an executable, where the others are part of it.

A number is part of the first executable of a graph, and becomes an argument when it is seen to vary: in the graph itself,
or from one graph to another at the same place of the program. Then so do the numbers of that place in later graphs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..lazy import ops
from ..lazy.graph import HostValue, Node, scalar
from .graphs import Graph

FEW_STARTS = 4
MANY = 2048  # places that are remembered

Site = tuple[Any, int]  # a place in the user's program
_varied: set[Site] = set()  # at which a number was seen to vary
_last: dict[Site, tuple[tuple[bytes, object], ...]] = {}  # the numbers at a place in the graph compiled last; from the end
_differed: set[Site] = set()  # at which they were others in the graph before


def forget() -> None:
    _varied.clear()
    _last.clear()
    _differed.clear()


def to_lift(graph: Graph, order: list[Node], values: dict[int, bytes], cause: str) -> tuple[frozenset[int], str]:
    """Which numbers become arguments, and why."""
    if cause == "repeats":
        return frozenset(graph.scalars), "" if not graph.variants else "a repeated piece changed"
    others = _other_than_before(graph, order, values)
    if not graph.variants:
        likely = _likely_to_vary(graph, order) | others
        return (likely if cause == "optimizer.step()" else likely | _rates(graph, order)), ""
    nearest = graph.variants[0]
    varying = {i for i, v in nearest.baked.items() if values[i] != v}
    if not varying:
        return nearest.lifted, ""
    sites = {site for _, site in _sites(order, varying)}
    if len(_varied) > MANY:
        _varied.clear()
    _varied.update(sites)
    if nearest.lifted:
        return frozenset(graph.scalars), "more numbers of the program vary; all of them are arguments now"
    alike = {i for i, site in _sites(order, graph.scalars) if site in sites}  # of other trips of a loop of the program's
    return nearest.lifted | varying | alike, f"{len(varying)} number(s) of the program vary and become arguments"


def _likely_to_vary(graph: Graph, order: list[Node]) -> frozenset[int]:
    """The numbers that are arguments from the start: those at places where one varied in a known graph, and where a slice
    of a computed value begins (``data[i : i + n]``), unless there are many, as in a loop over time."""
    if not graph.scalars:
        return frozenset()
    likely = {i for i, site in _sites(order, graph.scalars) if site in _varied} if _varied else set()
    starts = [
        x.mark for n in order if n.sig.op is ops.dynamic_slice and n.inputs and n.inputs[0].buffer is not None
        for x in n.inputs[1:] if x.sig.op is scalar
    ]  # fmt: skip
    return frozenset(likely.union(starts) if len(starts) <= FEW_STARTS else likely)


def _other_than_before(graph: Graph, order: list[Node], values: dict[int, bytes]) -> frozenset[int]:
    """The numbers at places where another graph had others. A loop has many at one place, which say nothing: they are
    looked at only where they are few, and in their order, so that a longer loop is no other. Nor is the last row another
    than the last."""
    here: dict[Site, dict[tuple[bytes, object], list[int]]] = {}
    ends = _from_the_end(order)
    for i, site in _sites(order, graph.scalars):
        here.setdefault(site, {}).setdefault((values[i], ends.get(i, values[i])), []).append(i)
    if len(_last) > MANY:
        _last.clear()
        _differed.clear()
    found: set[int] = set()
    for site, numbers in here.items():
        if len(numbers) > FEW_STARTS:
            continue
        now = tuple(numbers)
        if any(value != old and end != old_end for (value, end), (old, old_end) in zip(now, _last.get(site, ()))):
            _differed.add(site)
        _last[site] = now
        if site in _differed:
            found.update(*numbers.values())
    return frozenset(found)


def _from_the_end(order: list[Node]) -> dict[int, int]:
    """By index of a number with which a part begins, how many rows from the end of the dim that is."""
    return {
        x.mark: size - int(x.value)
        for n in order if n.buffer is None and n.sig.op in _PARTS
        for size, x in zip(n.inputs[0].sig.aval.shape, n.inputs[_PARTS[n.sig.op] :])
        if isinstance(x, HostValue) and x.sig.op is scalar
    }  # fmt: skip


_PARTS = {ops.dynamic_slice: 1, ops.dynamic_update_slice: 2}  # and the first of their operands that is a place
_STEP = {ops.multiply, ops.add, ops.subtract, ops.negate, ops.divide}


def _rates(graph: Graph, order: list[Node]) -> frozenset[int]:
    """The numbers that are factors in what is added to a value from before, where that gives a result: rates of a step
    that the program makes by hand (``p -= lr * p.grad``). It will change them. (Optimizers say which of theirs do.)"""
    found: set[int] = set()
    for i in graph.roots:
        new = order[i]
        if new.sig.op not in (ops.add, ops.subtract) or not new.sig.aval.dtype.is_inexact:
            continue
        before = [x.buffer is not None and not isinstance(x, HostValue) for x in new.inputs]
        if before[0] == before[1]:
            continue
        level = [new.inputs[0 if before[1] else 1]]
        for _ in range(3):
            factors = [x for n in level if n.sig.op is ops.multiply for x in n.inputs]
            found.update(y.mark for x in factors for y in (x, *x.inputs) if y.sig.op is scalar and x.sig.op in _SPREAD)
            level = [x for n in level if n.sig.op in _STEP for x in n.inputs if x.buffer is None]
    return frozenset(i for i in found if abs(order[i].value.item()) not in (0, 1))  # type: ignore[attr-defined]


_SPREAD = {ops.broadcast_in_dim, scalar}


def _sites(order: list[Node], numbers: Iterable[int]) -> list[tuple[int, Site]]:
    """Each of the numbers with the places in the user's program where it is used; what the library puts between (a
    broadcast) has no place of its own."""
    found = []
    reached: dict[int, list[int]] = {i: [i] for i in numbers}  # by node without a place: the numbers it is made from
    for n in order:  # operands come first
        sources = reached.get(n.mark) or [i for x in n.inputs for i in reached.get(x.mark, ())]
        if sources and n.code is not None:
            found += [(i, (n.code, n.lasti)) for i in sources]
        elif sources:
            reached[n.mark] = sources
    return found


__all__ = ["forget", "to_lift"]

"""Results that are the rows of few arrays, as what a loop keeps of each of its trips for a backward to come.

A loss that is read before ``backward()`` leaves such results by the thousand. They are not taken apart: the program gives
the arrays, and each result stays pending, as a row of its array. The backward then is a loop that reads row after row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..lazy import dtypes, ops
from ..lazy.graph import Aval, HostValue, Node, after_inputs, computed_as, leaf, leaf_signature, scalar, signature
from .emit import Plan
from .nodes import make
from .rolling import rolled

RESULTS = 256  # of a program, from which on it is looked at
ROWS = 16  # of one array, at least


class Bundled(NamedTuple):
    """A rolled plan with arrays for results. ``singles``: the places of the graph's roots that it gives by themselves, first;
    ``bundles``: for each array after them the places of the roots that are rows of it, with their rows."""

    plan: Plan
    singles: list[int]
    bundles: list[list[tuple[int, int]]]


def bundled(plan: Plan, held_by_tensors: Callable[[], set[Node]]) -> Bundled | None:
    """The plan with its results bundled but for those that tensors hold; None where there are few."""
    if len(plan.roots) < RESULTS:
        return None
    held = held_by_tensors()
    if sum(plan.order[i] not in held for i in plan.roots) < ROWS:
        return None  # the parameters of a deep model and what its optimizer keeps: there is no need to look for loops
    new = rolled(plan)
    groups = arrays_of(
        ((r, new.order[i]) for r, i in enumerate(new.roots) if plan.order[plan.roots[r]] not in held), ROWS
    )
    if not groups:
        return None
    inside = {r for rows in groups.values() for r, _ in rows}
    singles = [r for r in range(len(new.roots)) if r not in inside]
    place = {n: i for i, n in enumerate(new.order)}
    roots = [new.roots[r] for r in singles] + [place[array] for array in groups]
    where = {r: k for k, r in enumerate(singles)}
    donated = {k: where[r] for k, r in new.donated.items() if r in where}
    given = {new.order[i] for i in new.leaves}.union(new.order[i] for places in new.packed.values() for i in places)
    used = given.union(after_inputs([new.order[i] for i in roots], lambda n: () if n in given else n.inputs))
    order = [n for n in new.order if n in used]
    at = {n: i for i, n in enumerate(order)}
    packed = {dtype: [at[new.order[i]] for i in places] for dtype, places in new.packed.items()}
    leaves = [at[new.order[i]] for i in new.leaves]
    plan = Plan(order, [at[new.order[i]] for i in roots], leaves, packed, donated)
    return Bundled(plan, singles, list(groups.values()))


def arrays_of(results: Iterable[tuple[int, Node]], least: int) -> dict[Node, list[tuple[int, int]]]:
    """The arrays of which so many of the numbered results are rows, each with these: which result, which row."""
    found: dict[Node, list[tuple[int, int]]] = {}
    for k, n in results:
        row = _row(n)
        if row is not None:
            found.setdefault(row[0], []).append((k, row[1]))
    return {array: rows for array, rows in found.items() if len(rows) >= least}


def _row(n: Node) -> tuple[Node, int] | None:
    """The array, and the number, of which a result is a row."""
    if n.buffer is not None or n.sig.op is not ops.reshape:
        return None
    part = n.inputs[0]
    if part.buffer is not None or part.sig.op is not ops.slice_ or part.sig.aval.shape[1:] != n.sig.aval.shape:
        return None
    array, at = part.inputs[0], part.sig.keyword
    whole = at["limit"][1:] == array.sig.aval.shape[1:] and not any(at["start"][1:])
    if not whole or at["limit"][0] - at["start"][0] != 1 or array.buffer is not None:
        return None
    return array, at["start"][0]


def settle(found: Bundled, order: list[Node], roots: Sequence[int], results: Sequence[Any]) -> list[Node]:
    """Hand the results to their nodes: buffers to some, and to the others the arrays of which they are rows. Gives these."""
    for r, buffer in zip(found.singles, results):
        computed_as(order[roots[r]], buffer)
    arrays = results[len(found.singles) :]
    places = found.plan.roots[len(found.singles) :]
    made = [leaf(found.plan.order[i].sig.aval, buffer) for i, buffer in zip(places, arrays)]
    for rows, array in zip(found.bundles, made):
        become_rows([(order[roots[r]], at) for r, at in rows], array, fixed)
    return made


def fixed(array: Node, at: int, like: Node) -> Node:
    """A row of an array, its number part of the program."""
    rest = array.sig.aval.shape[1:]
    start, limit = (at, *(0 for _ in rest)), (at + 1, *rest)
    return make(ops.slice_, [array], like, start=start, limit=limit, strides=(1,) * array.sig.aval.ndim)


def numbered(array: Node, at: int, like: Node) -> Node:
    """A row of an array, its number an argument: what is made of one row and then of the next is one program."""
    rest = array.sig.aval.shape[1:]
    index = Aval((), dtypes.int32, array.sig.aval.device)
    start = HostValue(leaf_signature(scalar, index), np.array(at, np.int32), like.code, like.lasti)
    zero = make(ops.constant, (), like, data=bytes(4), aval=index)
    start.serial = zero.serial = _before(like) - 1  # before the row's: it is the order in which they are computed
    return make(ops.dynamic_slice, [array, start, *(zero for _ in rest)], like, sizes=(1, *rest))


def become_rows(nodes: Sequence[tuple[Node, int]], array: Node, row: Callable[[Node, int, Node], Node]) -> None:
    """Let pending nodes be rows of an array that is there, each made by ``row``."""
    for node, at in nodes:
        part = row(array, at, node)
        part.serial = _before(node)
        node.sig, node.inputs = signature(ops.reshape, (part.sig.aval,), (array.sig.aval.shape[1:],)), (part,)


def _before(node: Node) -> int:
    """A serial number before a node's, after what it was computed from."""
    return max(x.serial for x in node.inputs)


__all__ = ["Bundled", "arrays_of", "become_rows", "bundled", "numbered", "settle"]

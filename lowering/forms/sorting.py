"""Sorts of which not all is read: without the operands that nobody wants, only their first elements, or only one."""

from __future__ import annotations

from collections.abc import Container, Iterable

from ...lazy import ops
from ...lazy.graph import Node, result, signature
from ..nodes import PICK, SORT_PLACES, TOP, make

LONG, LARGE = 64, 1 << 17  # elements of a line, and of all, from which on one a line is found without sorting


def of_what_is_read(order: Iterable[Node], given: Container[Node], outputs: Container[Node]) -> dict[Node, Node]:
    """What is said in place of sorts, and of what reads them; ``outputs`` are nodes that are wanted themselves."""
    results: dict[Node, list[Node]] = {}  # of a sort
    slices: dict[Node, list[Node] | None] = {}  # of a result, None if it is read otherwise
    for n in order:
        if n in given:
            continue
        if n.sig.op is ops.sort:
            results[n] = []
        elif n.sig.op is result and n.inputs[0] in results:
            results[n.inputs[0]].append(n)
            slices[n] = None if n in outputs else []
        elif slices:
            for x in n.inputs:
                if x in slices:
                    found = slices[x]
                    slices[x] = None if found is None or n.sig.op is not ops.slice_ else [*found, n]
    other: dict[Node, Node] = {}
    for n, taken in results.items():
        if taken and n not in outputs and len(n.inputs) <= 2:
            _one(n, taken, slices, other)
    return other


def _one(n: Node, taken: list[Node], slices: dict[Node, list[Node] | None], other: dict[Node, Node]) -> None:
    axis, descending = n.sig.keyword["axis"], n.sig.keyword["descending"]
    x = n.inputs[0]
    with_places = len(n.inputs) == 2 and _counts(n.inputs[1], axis)
    first, rank = _first(taken, slices, axis, n.sig.inputs[0].shape[axis]), _only(taken, slices, axis)
    long = n.sig.inputs[0].size >= LARGE and n.sig.inputs[0].shape[axis] >= LONG
    if with_places and first is not None and rank is not None and long:
        pick = make(PICK, [x], n, axis=axis, descending=descending, places=n.sig.inputs[1], rank=rank)
        other[n] = pick
        for r in taken:
            other[r] = made = _result(r, n, pick)
            for s in slices[r] or ():
                other[s] = make(ops.reshape, [made], s, shape=made.sig.aval.shape)
                other[s].inputs = (r,)
    elif with_places and first is not None:
        top = make(TOP, [x], n, axis=axis, descending=descending, places=n.sig.inputs[1], count=first)
        other[n] = top
        for r in taken:
            other[r] = made = _result(r, n, top)
            for s in slices[r] or ():
                other[s] = Node(signature(ops.slice_, (made.sig.aval,), s.sig.attributes), (r,), s.code, s.lasti)
    elif len(n.inputs) == 2 and all(r.sig.keyword["index"] == 0 for r in taken):
        other[n] = make(ops.sort, [x], n, axis=axis, descending=descending)
    elif with_places:
        other[n] = make(SORT_PLACES, [x], n, axis=axis, descending=descending, places=n.sig.inputs[1])


def _result(r: Node, n: Node, top: Node) -> Node:
    """One of the results of what stands in a sort's place; its input keeps the name of the sort."""
    several = top.sig.aval
    return Node(signature(result, (several,), (r.sig.keyword["index"],)), (n,), r.code, r.lasti)


def _first(taken: list[Node], slices: dict[Node, list[Node] | None], axis: int, size: int) -> int | None:
    """How many elements from the first on are read of all results, where that is not all and all else is whole."""
    most = 0
    for r in taken:
        found = slices[r]
        if not found:
            return None
        for s in found:
            at = s.sig.keyword
            whole = all(
                (a, b) == (0, m) for i, (a, b, m) in enumerate(zip(at["start"], at["limit"], r.sig.aval.shape)) if i != axis
            )
            if not whole:
                return None
            most = max(most, at["limit"][axis])
    return most if 0 < most < size else None


def _only(taken: list[Node], slices: dict[Node, list[Node] | None], axis: int) -> int | None:
    """The rank of the one element that is read of all results, if it is one."""
    ranks = {(s.sig.keyword["start"][axis], s.sig.keyword["limit"][axis]) for r in taken for s in slices[r] or ()}
    start, end = next(iter(ranks)) if len(ranks) == 1 else (0, 0)
    return start if end == start + 1 else None


def _counts(n: Node, axis: int) -> bool:
    """Whether a value is 0, 1, 2... along the axis."""
    while n.sig.op is ops.broadcast_in_dim:
        dims, inner = n.sig.keyword["dims"], n.sig.inputs[0]
        if axis not in dims or inner.shape[dims.index(axis)] != n.sig.aval.shape[axis]:
            return False
        n, axis = n.inputs[0], dims.index(axis)
    return n.sig.op is ops.iota and n.sig.keyword["axis"] == axis and n.sig.aval.dtype.category == 1 and bool(n.sig.aval.size)


__all__ = ["of_what_is_read"]

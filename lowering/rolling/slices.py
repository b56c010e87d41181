"""Slices moved before what is elementwise: each part of a trip's value is computed from parts of its operands.

A gate of a recurrent cell is a slice of a sum. XLA's CPU backend makes a function of a value that a fusion reads at several
places, and where that value comes from a row that moves with the trips, the loop over it is not vectorised: five times as
slow. Parts have one reader each, and are rows of their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ...lazy import ops
from ...lazy.graph import Node, signature
from ..nodes import is_elementwise
from .loop import constant_node, make, stand_in


class Box(NamedTuple):
    """The part of a value from ``start`` to ``limit``."""

    start: tuple[int, ...]
    limit: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(hi - lo for lo, hi in zip(self.start, self.limit))


class Sunk(NamedTuple):
    """A body whose slices were moved: its nodes, what stands for those whose whole values are kept, and parts of rows."""

    body: list[Node]
    whole: dict[Node, Node]
    parts: dict[Node, tuple[Node, Box]]  # a new stand-in -> the row's, and which part of it


def sunk(body: Sequence[Node], kept: Iterable[Node], rows: Iterable[Node]) -> Sunk:
    """``body`` in order of computation; ``kept``: nodes whose whole values are wanted; ``rows``: stand-ins of rows."""
    rows = set(rows)
    whole, boxes = _asked(body, kept)
    made: dict[tuple[Node, Box | None], Node] = {}
    parts: dict[Node, tuple[Node, Box]] = {}
    fresh: list[Node] = []

    def add(n: Node) -> Node:
        fresh.append(n)
        return n

    def value(n: Node, box: Box | None) -> Node:
        """What stands for a node, or for a part of it."""
        found = made.get((n, box))
        if found is not None:
            return found
        if box is None:
            return n  # given to the loop
        if n in rows:
            here = stand_in(n.sig.aval.with_shape(box.shape))
            parts[here] = n, box
        else:
            source = value(n, None)
            here = add(make(ops.slice_, [source], n, start=box.start, limit=box.limit, strides=(1,) * len(box.start)))
        made[n, box] = here
        return here

    for n in body:
        if n in whole:
            if _is_part(n):
                at = n.sig.keyword
                made[n, None] = value(n.inputs[0], Box(at["start"], at["limit"]))
            else:
                inputs = tuple(value(x, None) for x in n.inputs)
                same = all(x is y for x, y in zip(inputs, n.inputs))
                made[n, None] = add(n if same else Node(n.sig, inputs, n.code, n.lasti))
            continue
        for box in boxes.get(n, ()):
            operands = [value(x, part) for x, part in _asks(n, box) or ()]
            if n.sig.op is ops.dynamic_slice:
                for d, (lo, size) in enumerate(zip(box.start, box.shape)):
                    if size != n.sig.aval.shape[d]:  # it cannot move along this dim: where it begins says nothing
                        operands[1 + d] = add(constant_node(np.array(lo, operands[1 + d].sig.aval.dtype.numpy), n))
            made[n, box] = operands[0] if _is_part(n) else add(_part_of(n, box, tuple(operands)))
    return Sunk(fresh, {n: made[n, None] for n in body if (n, None) in made}, parts)


def _asked(body: Sequence[Node], kept: Iterable[Node]) -> tuple[set[Node], dict[Node, dict[Box, None]]]:
    """Which nodes are wanted whole, and which parts of the others."""
    whole = set(kept)
    boxes: dict[Node, dict[Box, None]] = {}
    for n in reversed(body):
        asked: list[Box | None] = [None] if n in whole else list(boxes.get(n, ()))
        found = [_asks(n, box) for box in asked]
        parts = sum(math.prod(box.shape) for box in asked if box is not None)
        if None in found or (parts and parts > n.sig.aval.size):
            whole.add(n)
            found = [[(x, None) for x in n.inputs]]
        for pairs in found:
            for x, box in pairs or ():
                if box is None:
                    whole.add(x)
                else:
                    boxes.setdefault(x, {})[box] = None
    return whole, boxes


def _is_part(n: Node) -> bool:
    """Whether it is a slice of what lies side by side; one that takes every other element is an op like others."""
    return n.sig.op is ops.slice_ and all(s == 1 for s in n.sig.keyword["strides"])


def _asks(n: Node, box: Box | None) -> list[tuple[Node, Box | None]] | None:
    """What a node, or a part of it, is computed from; None where a part is not computed from parts."""
    if _is_part(n):
        start, limit = n.sig.keyword["start"], n.sig.keyword["limit"]
        if box is not None:
            limit = tuple(s + hi for s, hi in zip(start, box.limit))
            start = tuple(s + lo for s, lo in zip(start, box.start))
        return [(n.inputs[0], Box(start, limit))]
    if box is None:
        return [(x, None) for x in n.inputs]
    if is_elementwise(n):
        return [(x, box) for x in n.inputs]
    if n.sig.op is ops.broadcast_in_dim:
        x = n.inputs[0]
        pairs = [
            (0, 1) if size == 1 else (box.start[d], box.limit[d])
            for size, d in zip(x.sig.aval.shape, n.sig.keyword["dims"])
        ]
        part = Box(tuple(lo for lo, _ in pairs), tuple(hi for _, hi in pairs))
        return [(x, None if part.shape == x.sig.aval.shape else part)]
    if n.sig.op is ops.reshape:
        found = _through_reshape(n, box)
        return None if found is None else [(n.inputs[0], found)]
    if n.sig.op is ops.dynamic_slice and _is_whole_but_where_fixed(n, box):
        return [(x, None) for x in n.inputs]
    return None


def _through_reshape(n: Node, box: Box) -> Box | None:
    """The part of the operand that a part of its reshape is, where only dims of length one come or go."""
    given, shape = n.inputs[0].sig.aval.shape, n.sig.aval.shape
    kept = [d for d, size in enumerate(shape) if size != 1]
    if [size for size in given if size != 1] != [shape[d] for d in kept]:
        return None
    places = iter(kept)
    pairs = []
    for size in given:
        d = next(places) if size != 1 else None
        pairs.append((0, 1) if d is None else (box.start[d], box.limit[d]))
    return Box(tuple(lo for lo, _ in pairs), tuple(hi for _, hi in pairs))


def _is_whole_but_where_fixed(n: Node, box: Box) -> bool:
    """Whether the part takes all of the slice along each dim along which the slice can move."""
    whole, sizes = n.inputs[0].sig.aval.shape, n.sig.keyword["sizes"]
    return all(size == full or got == size for size, full, got in zip(sizes, whole, box.shape))


def _part_of(n: Node, box: Box, inputs: tuple[Node, ...]) -> Node:
    attributes = dict(n.sig.keyword)
    for name in ("shape", "sizes"):
        if name in attributes:
            attributes[name] = box.shape
    sig = signature(n.sig.op, tuple(x.sig.aval for x in inputs), tuple(attributes[name] for name in n.sig.op.attributes))
    return Node(sig, inputs, n.code, n.lasti)


__all__ = ["Box", "Sunk", "sunk"]
